/** What has to be known about the browser and where the page came from. */

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** Firefox never connects to media on a loopback address. */
export function firefoxOnLoopback(userAgent = navigator.userAgent, host = location.hostname): boolean {
  return /\bFirefox\//.test(userAgent) && LOOPBACK.test(host);
}

/** A page may ask for camera and microphone only when it came over HTTPS, or from this machine. */
export function devicesReachable(): boolean {
  return window.isSecureContext && navigator.mediaDevices !== undefined;
}
