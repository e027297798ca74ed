import "@testing-library/jest-dom/vitest";
import { cleanup, configure } from "@testing-library/react";
import { afterEach, vi } from "vitest";

// Waits end when what is waited for is there; a busy machine only needs a late deadline.
configure({ asyncUtilTimeout: 45_000 });

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
  window.localStorage.clear();
});

// What jsdom lacks and the component library asks for.
Object.defineProperty(window, "matchMedia", {
  value: (query: string) => ({
    matches: false,
    media: query,
    onchange: null,
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
    addListener: () => undefined,
    removeListener: () => undefined,
    dispatchEvent: () => false,
  }),
});
window.ResizeObserver = class {
  observe() {
    return undefined;
  }
  unobserve() {
    return undefined;
  }
  disconnect() {
    return undefined;
  }
};
// Everything is on the screen at once, unless a test says otherwise.
window.IntersectionObserver = class {
  private readonly seen: IntersectionObserverCallback;
  constructor(seen: IntersectionObserverCallback) {
    this.seen = seen;
  }
  observe(target: Element) {
    this.seen([{ isIntersecting: true, target } as IntersectionObserverEntry], this as unknown as IntersectionObserver);
  }
  unobserve() {
    return undefined;
  }
  disconnect() {
    return undefined;
  }
  takeRecords() {
    return [];
  }
} as unknown as typeof IntersectionObserver;
// Nothing has a size without a layout: lists that show only what is on the screen would show nothing.
Object.defineProperty(window.HTMLElement.prototype, "clientHeight", { configurable: true, get: () => 600 });
Object.defineProperty(window.HTMLElement.prototype, "clientWidth", { configurable: true, get: () => 1_000 });
window.HTMLElement.prototype.scrollTo = () => undefined;
// Draws on a canvas, which jsdom has not.
vi.mock("uplot", () => ({
  default: class {
    readonly cursor = { idx: null };
    constructor(_: unknown, data: unknown, target: HTMLElement) {
      target.dataset.drawn = JSON.stringify(data);
      this.target = target;
    }
    private readonly target: HTMLElement;
    setData(data: unknown) {
      this.target.dataset.drawn = JSON.stringify(data);
    }
    setCursor() {
      return undefined;
    }
    setSize() {
      return undefined;
    }
    valToPos() {
      return 0;
    }
    destroy() {
      return undefined;
    }
  },
}));
window.HTMLElement.prototype.scrollIntoView = () => undefined;
// Asked for by the accessibility checks, which do without.
window.HTMLCanvasElement.prototype.getContext = () => null;
window.scrollTo = () => undefined;
Range.prototype.getClientRects = () => [] as unknown as DOMRectList;
Range.prototype.getBoundingClientRect = () => new DOMRect();
