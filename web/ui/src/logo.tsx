/** The mark of the product; decorative, since its name always stands beside it or labels its link. */
export function Logo({ size = 28 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" fill="#26307a" />
      <path d="M6 9.5 11 23l5-9 5 9 3.4-9.2" fill="none" stroke="#fff" strokeWidth="2.8" strokeLinecap="round" strokeLinejoin="round" />
      <circle cx="25.4" cy="9.6" r="2.6" fill="#ffc53d" />
    </svg>
  );
}
