import { Suspense, useEffect, useRef } from 'react';
import { Redirect, Route, Switch, useLocation } from 'wouter';
import { explain } from './api/client';
import { useSession } from './api/session';
import { SiteBanner } from './components/banner';
import { ErrorBoundary } from './components/error-boundary';
import { Header } from './components/header';
import { Toasts } from './components/toasts';
import { EmptyState, Skeleton } from './components/ui';
import './lib/back';
import { channelLogin, isBare, loginPath } from './lib/routes';
import { DirectoryPage } from './pages/directory';
import {
  AboutPage,
  AdminPage,
  ChannelPage,
  ChannelTabPage,
  ClipPage,
  DashboardChatPage,
  DashboardPage,
  DashboardVideosPage,
  EmbeddedChannel,
  EmbeddedClip,
  EmbeddedVideo,
  ForgotPage,
  LoginPage,
  ModerationPage,
  OverlayPage,
  PopoutPage,
  RegisterPage,
  ResetPage,
  SettingsPage,
  UploadPage,
  VideoPage,
  VideosPage,
} from './pages/lazy';
import { NotFoundPage } from './pages/not-found';
import css from './app.module.css';

/** For pages of one's own: to the login and back again. */
function SignedIn({ children }: { children: React.ReactNode }) {
  const session = useSession();
  const [path] = useLocation();
  if (session.status === 'unknown') {
    return session.error === undefined ? <PageSkeleton /> : <Unreached error={session.error} />;
  }
  if (session.status === 'anonymous') return <Redirect to={loginPath(path)} replace />;
  return children;
}

/** A page of one's own while the server does not say whose. */
function Unreached({ error }: { error: unknown }) {
  return (
    <EmptyState level="h1" title="This page is waiting for the server">
      {explain(error)} It appears here by itself.
    </EmptyState>
  );
}

function PageSkeleton() {
  return (
    <div className={css.waiting} role="status" aria-label="Loading">
      <Skeleton className={css.waitingTitle} />
      <Skeleton className={css.waitingBody} />
    </div>
  );
}

/** Windows of their own without the site around them. */
function BareRoutes() {
  return (
    <Switch>
      <Route path="/overlay/chat/:login">
        {({ login }) => <OverlayPage login={login.toLowerCase()} />}
      </Route>
      <Route path="/embed/clips/:id">{({ id }) => <EmbeddedClip id={id} />}</Route>
      <Route path="/embed/videos/:id">{({ id }) => <EmbeddedVideo id={id} />}</Route>
      <Route path="/embed/:login">
        {({ login }) => <EmbeddedChannel login={login.toLowerCase()} />}
      </Route>
      <Route path="/:login/chat">{({ login }) => <PopoutPage login={login.toLowerCase()} />}</Route>
    </Switch>
  );
}

function ChannelRoute({ login }: { login: string }) {
  const known = channelLogin(`/${login}`);
  return known === null ? <NotFoundPage /> : <ChannelPage key={known} login={known} />;
}

function ChannelTabRoute({ login, tab }: { login: string; tab: string }) {
  const known = channelLogin(`/${login}`);
  const shown = (['videos', 'clips', 'about'] as const).find((name) => name === tab);
  if (known === null || shown === undefined) return <NotFoundPage />;
  return <ChannelTabPage key={known} login={known} tab={shown} />;
}

export function App() {
  const [path] = useLocation();
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    // After a change of page, start at its top with the keyboard and the reader, not only the eye.
    if (first.current) first.current = false;
    else {
      window.scrollTo(0, 0);
      main.current?.focus({ preventScroll: true });
    }
  }, [path]);

  if (isBare(path)) {
    return (
      <>
        <main id="main">
          <ErrorBoundary key={path}>
            <Suspense>
              <BareRoutes />
            </Suspense>
          </ErrorBoundary>
        </main>
        <Toasts />
      </>
    );
  }
  return (
    <>
      <a className={css.skip} href="#main">
        Skip to the content
      </a>
      <Header />
      <SiteBanner />
      <main id="main" ref={main} tabIndex={-1} className={css.main}>
        <ErrorBoundary key={path}>
          <Suspense fallback={<PageSkeleton />}>
            <Switch>
              <Route path="/" component={DirectoryPage} />
              <Route path="/login" component={LoginPage} />
              <Route path="/register" component={RegisterPage} />
              <Route path="/forgot" component={ForgotPage} />
              <Route path="/reset" component={ResetPage} />
              <Route path="/settings">
                <SignedIn>
                  <SettingsPage />
                </SignedIn>
              </Route>
              <Route path="/dashboard">
                <SignedIn>
                  <DashboardPage />
                </SignedIn>
              </Route>
              <Route path="/videos" component={VideosPage} />
              <Route path="/videos/:id">{({ id }) => <VideoPage key={id} id={id} />}</Route>
              <Route path="/clips/:id">{({ id }) => <ClipPage key={id} id={id} />}</Route>
              <Route path="/dashboard/videos">
                <SignedIn>
                  <DashboardVideosPage />
                </SignedIn>
              </Route>
              <Route path="/dashboard/upload">
                <SignedIn>
                  <UploadPage />
                </SignedIn>
              </Route>
              <Route path="/dashboard/chat">
                <SignedIn>
                  <DashboardChatPage />
                </SignedIn>
              </Route>
              <Route path="/moderation/:login">
                {({ login }) => (
                  <SignedIn>
                    <ModerationPage key={login} login={login.toLowerCase()} />
                  </SignedIn>
                )}
              </Route>
              <Route path="/about" component={AboutPage} />
              <Route path="/admin/:area?">
                {({ area }) => (
                  <SignedIn>
                    <AdminPage area={area ?? 'reports'} />
                  </SignedIn>
                )}
              </Route>
              <Route path="/:login/:tab">
                {({ login, tab }) => <ChannelTabRoute login={login} tab={tab} />}
              </Route>
              <Route path="/:login">{({ login }) => <ChannelRoute login={login} />}</Route>
              <Route>
                <NotFoundPage />
              </Route>
            </Switch>
          </Suspense>
        </ErrorBoundary>
      </main>
      <Toasts />
    </>
  );
}
