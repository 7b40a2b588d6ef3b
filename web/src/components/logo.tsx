/** Three beams rising from the edge of a stage: a row of footlights, lit. */
export function LogoMark({ size = 28, lit = true }: { size?: number; lit?: boolean }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 32 32"
      aria-hidden="true"
      focusable="false"
      className={lit ? 'logo-lit' : 'logo-unlit'}
    >
      <path className="logo-side" d="M13.4 23 4.2 10.600A13.6 13.6 0 0 1 10.8 5.500L14.7 23z" />
      <path className="logo-side" d="m18.6 23 9.2-12.400a13.6 13.6 0 0 0-6.6-5.100L17.3 23z" />
      <path className="logo-mid" d="M15.3 23 12.2 4.900a14 14 0 0 1 7.6 0L16.7 23z" />
      <rect className="logo-edge" x="6" y="25" width="20" height="3.2" rx="1.6" />
    </svg>
  );
}
