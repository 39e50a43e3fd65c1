/** Where the tiles go: all of them visible, as large as they can be, without scrolling. */

export interface Size {
  width: number;
  height: number;
}

/** A tile is as wide as a television at most; in a wide window it stays wide, in a tall one it may be a portrait. */
const WIDEST = 16 / 9;
const NARROWEST = { wide: 4 / 3, tall: 3 / 4 };

/** Return the size of each of `count` tiles that fit into `area` with `gap` pixels between them. */
export function tileSize(count: number, area: Size, gap: number): Size {
  let best: Size = { width: 0, height: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const tile = fitted(columns, Math.ceil(count / columns), area, gap);
    if (tile.width * tile.height > best.width * best.height) best = tile;
  }
  return best;
}

function fitted(columns: number, rows: number, area: Size, gap: number): Size {
  const width = Math.max(0, (area.width - gap * (columns - 1)) / columns);
  const height = Math.max(0, (area.height - gap * (rows - 1)) / rows);
  const narrowest = area.width > area.height ? NARROWEST.wide : NARROWEST.tall;
  return { width: Math.floor(Math.min(width, height * WIDEST)), height: Math.floor(Math.min(height, width / narrowest)) };
}

/** Keep the tiles of `grid` as large as they can be, whenever their number or the window changes. */
export function keepFitted(grid: HTMLElement): void {
  const fit = (): void => {
    const style = getComputedStyle(grid);
    const area = {
      width: grid.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight),
      height: grid.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom),
    };
    const { width, height } = tileSize(grid.childElementCount, area, parseFloat(style.columnGap) || 0);
    grid.style.setProperty("--tile-width", `${width}px`);
    grid.style.setProperty("--tile-height", `${height}px`);
  };
  new ResizeObserver(fit).observe(grid);
  new MutationObserver(fit).observe(grid, { childList: true });
}
