import { Component, type ErrorInfo, type ReactNode } from 'react';
import { Button } from './button';
import { EmptyState } from './ui';

/** A page that failed says so and offers the way out; most often its code is gone after an update. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override componentDidCatch(error: unknown, info: ErrorInfo) {
    console.error('a page failed', error, info.componentStack);
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <EmptyState
        level="h1"
        title="This page did not load"
        actions={
          <Button look="primary" icon="refresh" onClick={() => location.reload()}>
            Load it again
          </Button>
        }
      >
        Footlight may just have been updated, or the connection broke off. Loading the page again
        usually mends it.
      </EmptyState>
    );
  }
}
