-- Append a run of events to a meeting's stream, if it joins what is there; answer the stream's last id (its sequence).
-- KEYS[1] stream; ARGV: base, maxlen, seconds to live (0: for ever), then per event its sequence, its number of fields, the fields.
-- `last-generated-id`, not the last entry: it survives trimming.
local last = 0
if redis.call('EXISTS', KEYS[1]) == 1 then
    local info = redis.call('XINFO', 'STREAM', KEYS[1])
    for i = 1, #info, 2 do
        if info[i] == 'last-generated-id' then
            last = tonumber(string.match(info[i + 1], '^(%d+)'))
        end
    end
end
local at = 4
if ARGV[at] and tonumber(ARGV[at]) <= math.max(last, tonumber(ARGV[1])) + 1 then
    while ARGV[at] do
        local sequence, count = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
        if sequence > last then
            redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], ARGV[at] .. '-0', unpack(ARGV, at + 2, at + 1 + count))
            last = sequence
        end
        at = at + 2 + count
    end
    if ARGV[3] == '0' then
        redis.call('PERSIST', KEYS[1])
    else
        redis.call('EXPIRE', KEYS[1], ARGV[3])
    end
end
return last
