--- What a server may answer to a media playlist request (RFC 8216bis 6.2.5), without nginx.
--
-- A position `at` is a table of what is published:
--   msn, part      sequence number of the segment that holds the last part, and that part's index in it
--   complete_msn   the last complete segment, -1 for none
--   part_number    how many parts the rendition has had; part files are named by it
--   part_target, target_duration   seconds
--   ended          the playlist carries EXT-X-ENDLIST

local find = string.find
local max, ceil = math.max, math.ceil

local rules = {}

-- Enough for a stream of a century; keeps tonumber() exact.
local MAX_DIGITS = 15

local function whole_number(text)
    if type(text) ~= "string" or #text > MAX_DIGITS or not find(text, "^%d+$") then
        return nil
    end
    return tonumber(text)
end

--- The delivery directives among decoded query arguments (name → string, true or a list of duplicates).
-- Returns an error message or nil, then msn, part and skip (nil, nil, false where absent).
function rules.directives(args)
    local msn, part, skip = args._HLS_msn, args._HLS_part, args._HLS_skip
    if msn ~= nil then
        msn = whole_number(msn)
        if not msn then
            return "_HLS_msn is not a sequence number"
        end
    end
    if part ~= nil then
        part = whole_number(part)
        if not part then
            return "_HLS_part is not a part index"
        end
        if not msn then
            return "_HLS_part needs _HLS_msn"
        end
    end
    if skip ~= nil and skip ~= "YES" and skip ~= "v2" then
        return "_HLS_skip is YES or v2"
    end
    return nil, msn, part, skip ~= nil
end

--- How far beyond the last part a request may reach: the Advance Part Limit.
function rules.advance_part_limit(part_target)
    return max(3, ceil(3 / part_target - 1e-6))
end

--- "serve", "hold" or "ahead" (too far ahead, to be refused at once) for a request of `msn` and perhaps `part`.
function rules.decide(at, msn, part)
    if at.ended or not msn then
        return "serve"
    end
    if not part then
        if at.complete_msn >= msn then
            return "serve"
        end
    elseif at.msn > msn or (at.msn == msn and at.part >= part) then
        return "serve"
    elseif at.msn == msn and at.complete_msn >= msn then
        -- Past the last part of a finished segment: stands for the next segment's first part.
        msn, part = msn + 1, 0
    end
    -- Before the first segment is complete, the one in the making still fixes what "the last" is.
    if msn > max(at.complete_msn, at.msn - 1) + 2 then
        return "ahead"
    end
    if part then
        -- In a segment not begun yet the distance is at least its own parts.
        local distance = msn == at.msn and part - at.part or part + 1
        if distance > rules.advance_part_limit(at.part_target) then
            return "ahead"
        end
    end
    return "hold"
end

--- Whether part file number `number` is the one the playlist hints at.
function rules.hinted(at, number)
    return not at.ended and number == at.part_number + 1
end

--- Seconds a request may be held before it is answered 503.
function rules.patience(at)
    return 3 * at.target_duration
end

return rules
