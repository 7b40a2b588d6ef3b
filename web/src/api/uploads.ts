import { api } from './client';
import type { Page } from './types';

export interface Upload {
  id: string;
  /** For tus. */
  url: string;
  video_id: string | null;
  name: string;
  size: number;
  received: number;
  state: 'receiving' | 'waiting' | 'processing' | 'done' | 'failed' | 'cancelled';
  progress: number;
  /** `retry`: the file is kept and may be tried again as it is. */
  error: { code: string; message: string; retry: boolean } | null;
  created_at: string;
  expires_at: string;
}

export const uploads = {
  list: (signal?: AbortSignal) => api<Page<Upload>>('GET', '/uploads', { signal }),
  cancel: (id: string) => api('DELETE', `/uploads/${id}`),
};
