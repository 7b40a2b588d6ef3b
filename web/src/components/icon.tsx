/** Line icons on a 24-unit grid, drawn for Footlight; one stroke weight, so they sit together. */
const PATHS = {
  play: 'M8 5.5v13l10.5-6.5z',
  pause: 'M8 5.5v13M16 5.5v13',
  volume: 'M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9a4 4 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11',
  volumeLow: 'M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9a4 4 0 0 1 0 6',
  muted: 'M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM16 9.5l5 5M21 9.5l-5 5',
  settings:
    'M4 7h9M17 7h3M4 17h3M11 17h9M15 4.8a2.2 2.2 0 1 1 0 4.4 2.2 2.2 0 0 1 0-4.4zM9 14.8a2.2 2.2 0 1 1 0 4.4 2.2 2.2 0 0 1 0-4.4z',
  pip: 'M4 5.5h16v13H4zM12.5 12.5h5v3.5h-5z',
  theatre: 'M3.5 6.5h17v11h-17z',
  theatreExit: 'M3.5 6.5h11v11h-11zM17.5 6.5h3v11h-3z',
  fullscreen: 'M9 4.5H4.5V9M15 4.5h4.5V9M9 19.5H4.5V15M15 19.5h4.5V15',
  fullscreenExit: 'M4.5 9H9V4.5M19.5 9H15V4.5M4.5 15H9v4.5M19.5 15H15v4.5',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  copy: 'M8.5 8.5h11v11h-11zM15.5 8.5v-4h-11v11h4',
  close: 'M6 6l12 12M18 6L6 18',
  warning: 'M12 4.5l8.5 15h-17zM12 10v4M12 16.7v.2',
  info: 'M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17zM12 11v5M12 7.8v.2',
  eye: 'M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 9.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5z',
  eyeOff:
    'M4 4l16 16M9.9 5.8A9.6 9.6 0 0 1 12 5.5c6 0 9.5 6.5 9.5 6.5a17 17 0 0 1-2.9 3.7M6.3 7.6A17 17 0 0 0 2.5 12S6 18.5 12 18.5c1.6 0 3-.4 4.2-1.100M10.2 10.300a2.5 2.5 0 0 0 3.5 3.5',
  people:
    'M9 5a3.2 3.2 0 1 1 0 6.400A3.2 3.2 0 0 1 9 5zM3 19c.4-3.4 2.7-5.2 6-5.200s5.6 1.8 6 5.200M16 5.400a3 3 0 0 1 0 5.800M17.5 14.200c2 .6 3.2 2.2 3.5 4.8',
  clock: 'M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17zM12 7.5V12l3 2',
  chevron: 'M7 10l5 5 5-5',
  key: 'M8 9.500a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM11 10.700l8.5-6.200M15.5 7.300l2.5 3.2',
  trash: 'M5 7h14M9.5 7V4.500h5V7M7 7l.8 12.500h8.400L17 7M10.5 10.500v5.500M13.5 10.500v5.5',
  plus: 'M12 5v14M5 12h14',
  arrow: 'M5 12h13.500M13 6.500l5.5 5.5-5.5 5.5',
  broadcast:
    'M12 10.500a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3zM8.5 15.500a5 5 0 0 1 0-7M15.5 8.500a5 5 0 0 1 0 7M5.7 18.300a9 9 0 0 1 0-12.600M18.3 5.700a9 9 0 0 1 0 12.6',
  refresh: 'M19.5 12a7.5 7.5 0 1 1-2.2-5.300M19.5 3.500v4h-4',
  user: 'M12 4.500a3.7 3.7 0 1 1 0 7.4 3.7 3.7 0 0 1 0-7.400zM4.8 20c.5-3.9 3.2-6 7.2-6s6.7 2.1 7.2 6',
  logout: 'M14 4.500H5v15h9M10 12h10.500M16.5 8l4 4-4 4',
  stop: 'M6.5 6.500h11v11h-11z',
  live: 'M5 19.500h14M9.5 16L6 8.500M14.5 16L18 8.500M12 16V6',
  headphones:
    'M4.5 15v-3a7.5 7.5 0 0 1 15 0v3M4.5 14h3.500v6H6a1.5 1.5 0 0 1-1.5-1.500zM19.5 14H16v6h2a1.5 1.5 0 0 0 1.5-1.500z',
  keyboard: 'M3 6.500h18v11H3zM6.5 10h.1M10 10h.1M13.5 10h.1M17 10h.1M8 14h8',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  const solid = name === 'play';
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill={solid ? 'currentColor' : 'none'}
      stroke="currentColor"
      strokeWidth={1.75}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
