/** Pages that are loaded when they are opened, so that the directory stays small. */
import { lazy } from 'react';

export const loadChannelPage = () => import('./channel');
const loadDashboard = () => import('./dashboard');

/** The chat's code is asked for when the picture is there. */
export const loadChat = () => import('../chat/panel');

export const ChatPanel = lazy(() => loadChat().then((m) => ({ default: m.ChatPanel })));

export const ChannelPage = lazy(loadChannelPage);
export const DashboardPage = lazy(loadDashboard);
export const SettingsPage = lazy(() => import('./settings'));
export const LoginPage = lazy(() => import('./auth').then((m) => ({ default: m.LoginPage })));
export const RegisterPage = lazy(() => import('./auth').then((m) => ({ default: m.RegisterPage })));
export const ForgotPage = lazy(() => import('./auth').then((m) => ({ default: m.ForgotPage })));
export const ResetPage = lazy(() => import('./auth').then((m) => ({ default: m.ResetPage })));
export const DashboardChatPage = lazy(() => import('./dashboard/chat'));
export const VideosPage = lazy(() => import('./videos'));
export const VideoPage = lazy(() => import('./videos/video'));
export const ClipPage = lazy(() => import('./videos/clip'));
export const ChannelTabPage = lazy(() => import('./channel-tabs'));
const loadEmbeds = () => import('./embed');
export const EmbeddedChannel = lazy(() => loadEmbeds().then((m) => ({ default: m.Channel })));
export const EmbeddedVideo = lazy(() => loadEmbeds().then((m) => ({ default: m.Video })));
export const EmbeddedClip = lazy(() => loadEmbeds().then((m) => ({ default: m.Clip })));
export const DashboardVideosPage = lazy(() => import('./dashboard/videos'));
export const UploadPage = lazy(() => import('./dashboard/upload'));
export const PopoutPage = lazy(() => import('./popout'));
export const OverlayPage = lazy(() => import('./overlay'));
export const ModerationPage = lazy(() => import('./moderation'));
export const AboutPage = lazy(() => import('./about'));
export const AdminPage = lazy(() => import('./admin'));
