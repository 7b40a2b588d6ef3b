import type { DetailedHTMLProps, HTMLAttributes } from 'react';

/** The custom elements of media-chrome that the player uses, for JSX. Boolean attributes are "" or absent. */
type Flag = '' | undefined;
type ChromeElement<Extra = object> = DetailedHTMLProps<HTMLAttributes<HTMLElement>, HTMLElement> &
  Extra;

declare module 'react' {
  namespace JSX {
    interface IntrinsicElements {
      'media-controller': ChromeElement<{
        autohide?: string;
        defaultstreamtype?: string;
        fullscreenelement?: string;
        nohotkeys?: Flag;
        noautoseektolive?: Flag;
        novolumepref?: Flag;
        nomutedpref?: Flag;
        gesturesdisabled?: Flag;
      }>;
      'media-control-bar': ChromeElement;
      'media-play-button': ChromeElement<{ notooltip?: Flag }>;
      'media-mute-button': ChromeElement<{ notooltip?: Flag }>;
      'media-volume-range': ChromeElement;
      'media-pip-button': ChromeElement<{ notooltip?: Flag }>;
      'media-fullscreen-button': ChromeElement<{ notooltip?: Flag }>;
    }
  }
}
