// Runs before the page does: notes the page's peer connections, so that a test can read what really arrived.
(() => {
  const connections = new Set();
  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(...given) {
      super(...given);
      connections.add(this);
    }
  };

  async function inbound() {
    const byTrack = new Map();
    for (const connection of connections) {
      if (connection.connectionState === "closed") continue;
      const stats = await connection.getStats();
      for (const one of stats.values()) {
        if (one.type === "inbound-rtp") byTrack.set(one.trackIdentifier, { ...one, codec: stats.get(one.codecId)?.mimeType });
      }
    }
    return byTrack;
  }

  // What each other participant's tile shows and plays right now, by the name on the tile; a second tile of a name is "name (2)".
  window.received = async () => {
    const byTrack = await inbound();
    const tiles = [...document.querySelectorAll(".tile:not(.own)")];
    const named = new Map();
    return Object.fromEntries(tiles.map((tile) => {
      const element = tile.querySelector("video");
      const [video] = element.srcObject.getVideoTracks().map((track) => byTrack.get(track.id));
      const [audio] = element.srcObject.getAudioTracks().map((track) => byTrack.get(track.id));
      const name = tile.querySelector(".name").textContent;
      named.set(name, (named.get(name) ?? 0) + 1);
      return [named.get(name) > 1 ? `${name} (${named.get(name)})` : name, {
        participant: tile.dataset.participant,
        width: element.videoWidth,
        frames: video?.framesDecoded ?? 0,
        frozen: video?.totalFreezesDuration ?? 0,
        energy: audio?.totalAudioEnergy ?? 0,
        codecs: [audio?.codec, video?.codec].filter(Boolean).sort(),
        picture: tile.classList.contains("has-picture"),
        muted: tile.classList.contains("is-muted"),
      }];
    }));
  };

  // When pictures of the others were shown, by the video element that showed them: it stays while tracks come and go.
  // A second without a frame is a standstill; `back` is when the last one ended, `frames` are counted from there.
  const shown = new Map();
  function begun() {
    return { last: performance.now(), longest: 0, frames: 0, back: 0 };
  }
  function watchPicture(video) {
    const seen = begun();
    shown.set(video, seen);
    const frame = (now) => {
      const still = now - seen.last;
      seen.longest = Math.max(seen.longest, still);
      if (still >= 1000) Object.assign(seen, { back: (performance.timeOrigin + now) / 1000, frames: 0 });
      seen.last = now;
      seen.frames += 1;
      video.requestVideoFrameCallback(frame);
    };
    video.requestVideoFrameCallback(frame);
  }
  new MutationObserver(() => {
    for (const video of document.querySelectorAll(".tile:not(.own) video")) if (!shown.has(video)) watchPicture(video);
  }).observe(document, { childList: true, subtree: true });

  // Each other participant's picture since `forgetPictures`: frames shown since it last stood still for a second, the longest time
  // without one so far (s), and when that last standstill ended (s since 1970; 0: there was none, or it still lasts).
  window.pictures = () => Object.fromEntries([...document.querySelectorAll(".tile:not(.own)")].map((tile) => {
    const { last, longest, frames, back } = shown.get(tile.querySelector("video"));
    const still = performance.now() - last;
    return [tile.querySelector(".name").textContent, { frames, still: Math.max(longest, still) / 1000, back: still < 1000 ? back : 0 }];
  }));
  window.forgetPictures = () => {
    for (const seen of shown.values()) Object.assign(seen, begun());
  };

  // `windows` + 1 looks, one second apart.
  window.lookAround = async (windows) => {
    const looks = [await window.received()];
    for (let at = 0; at < windows; at += 1) {
      await new Promise((done) => setTimeout(done, 1000));
      looks.push(await window.received());
    }
    return looks;
  };
})();
