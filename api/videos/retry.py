"""Another attempt at an upload of which no video could be made."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus

from api import limits
from api.operations import Call
from api.recorder import ask
from api.uploads.uploads import keep_file, may_upload
from api.videos.area import NOT_FOUND, videos
from api.videos.catalogue import answer_video, editable_video, note
from api.videos.schemas import VideoDetail
from core.db.video_models import VideoKind, VideoStatus
from core.errors import Conflict


@videos.post(
    "/videos/{id}/retry",
    "Try an upload again",
    answer=VideoDetail,
    status=202,
    errors={
        **NOT_FOUND,
        HTTPStatus.FORBIDDEN: ("forbidden", "uploading_not_allowed", "channel_suspended"),
        HTTPStatus.CONFLICT: ("video_not_failed", "upload_gone"),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def retry_video(call: Call[None, None]) -> VideoDetail:
    """Has a video made of the uploaded file once more, where that failed for a reason that may pass
    (`retry` of its error). Its owner may, and admins. `upload_gone`: the file is not kept any more, it
    has to be uploaded again.
    """
    api = call.api
    video = await editable_video(call)
    if (video.kind, video.status) != (
        VideoKind.UPLOAD,
        VideoStatus.FAILED,
    ) or video.trashed_at is not None:
        raise Conflict("Only an upload that failed can be tried again.", code="video_not_failed")
    await api.limiter.charge("retry", [(limits.RETRIES_ACCOUNT, str(call.actor.id))])
    async with api.database.session() as session:
        if call.actor.id == video.channel_id:
            await may_upload(session, call.actor)
        life = timedelta(seconds=api.settings.upload_expires_s)
        upload = await keep_file(session, video, life)
        await ask(call, "upload.retry", video_id=video.id, upload_id=str(upload.id))
        note(session, call, video, "video.retried")
    return await answer_video(call, video.id)
