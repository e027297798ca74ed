import { type RefObject, useEffect, useRef, useState } from "react";

/** Becomes true when an element comes near the screen, and stays so. */
export function useSeen<T extends Element>(): [RefObject<T | null>, boolean] {
  const element = useRef<T>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const watched = element.current;
    if (!watched || seen) return;
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some(({ isIntersecting }) => isIntersecting)) setSeen(true);
      },
      { rootMargin: "200px" },
    );
    observer.observe(watched);
    return () => {
      observer.disconnect();
    };
  }, [seen]);
  return [element, seen];
}
