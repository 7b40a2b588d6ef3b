--- gzip through the zlib that nginx itself is linked with, for bodies that are compressed once and sent many times.

local ffi = require "ffi"

ffi.cdef [[
typedef struct {
    const char *next_in; unsigned int avail_in; unsigned long total_in;
    char *next_out; unsigned int avail_out; unsigned long total_out;
    const char *msg; void *state; void *zalloc; void *zfree; void *opaque;
    int data_type; unsigned long adler; unsigned long reserved;
} footlight_z_stream;
const char *zlibVersion(void);
int deflateInit2_(footlight_z_stream *, int level, int method, int window_bits, int memory, int strategy,
                  const char *version, int stream_size);
unsigned long deflateBound(footlight_z_stream *, unsigned long length);
int deflate(footlight_z_stream *, int flush);
int deflateReset(footlight_z_stream *);
]]

local Z_FINISH, Z_STREAM_END, Z_DEFLATED, Z_DEFAULT_STRATEGY = 4, 1, 8, 0
local LEVEL, GZIP_WINDOW_BITS, MEMORY_LEVEL = 4, 15 + 16, 8

local gzip = {}

local stream

local function prepared()
    if stream then
        ffi.C.deflateReset(stream)
        return stream
    end
    local fresh = ffi.new("footlight_z_stream")
    local code = ffi.C.deflateInit2_(fresh, LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY,
        ffi.C.zlibVersion(), ffi.sizeof(fresh))
    if code ~= 0 then
        return nil
    end
    stream = fresh
    return stream
end

--- `text` as a gzip member, nil when zlib refuses.
function gzip.compress(text)
    local deflater = prepared()
    if not deflater then
        return nil
    end
    local room = tonumber(ffi.C.deflateBound(deflater, #text))
    local buffer = ffi.new("char[?]", room)
    deflater.next_in, deflater.avail_in = text, #text
    deflater.next_out, deflater.avail_out = buffer, room
    if ffi.C.deflate(deflater, Z_FINISH) ~= Z_STREAM_END then
        return nil
    end
    return ffi.string(buffer, room - deflater.avail_out)
end

--- Whether an Accept-Encoding header (nil when absent) admits gzip.
function gzip.accepted(header)
    if not header or not header:find("gzip", 1, true) then
        return false
    end
    return not header:find("gzip%s*;%s*q=0%.?0*%s*$") and not header:find("gzip%s*;%s*q=0%.?0*%s*,")
end

return gzip
