-- depends: 0006_sweeping

-- Moving. A drain moves meetings while their media flows on: the router of the epoch before may forward until `keep_until` (the media
-- server reads this, and closes it then or when its last transport is gone). At most one is kept; the next move from a router that
-- runs, or the end, forgets it.
alter table meetings
    add column kept_server text,
    add column kept_boot   text,
    add column kept_epoch  bigint,
    add column keep_until  timestamptz,
    add constraint meetings_kept_whole check (num_nulls(kept_server, kept_boot, kept_epoch, keep_until) in (0, 4)),
    add constraint meetings_kept_while_running check (kept_server is null or ended_at is null);
create index meetings_kept on meetings (kept_server, kept_boot) where kept_server is not null;
-- What the rounds of moving look at: meetings that wait for a place.
create index meetings_unplaced on meetings (tenant, meeting) where server is null and ended_at is null;

-- By when every meeting shall have been moved away; null: not draining.
alter table bookings add column drained_by timestamptz;
update bookings set drained_by = now() where draining;

-- As in 0003, and with `of_keep` the router of the epoch before goes on forwarding for so long. When that epoch never had a router,
-- or has none any more, the one that was kept before goes on as it was told.
drop function place_meeting(text, text, integer, integer, text, text, text, jsonb);
create function place_meeting(
    of_tenant text, of_meeting text, of_participants integer, of_producers integer, of_server text, of_boot text,
    of_event text, of_decision jsonb, of_keep interval default null
) returns bigint language plpgsql as $$
declare
    old meetings;
    kept meetings;
    number bigint;
    body jsonb;
begin
    select * into old from meetings where tenant = of_tenant and meeting = of_meeting;
    update bookings set booked = booked - old.participants * old.producers where server = old.server;
    update bookings set booked = booked + of_participants * of_producers
    where server = of_server and not draining and booked + of_participants * of_producers <= capacity;
    if not found then
        raise exception 'no room on %', of_server using errcode = 'DK009';
    end if;
    if not exists (
        select from allocations where tenant = of_tenant and meeting = of_meeting and epoch = old.epoch
        and server = old.server and boot = old.boot
    ) then
        if old.keep_until > clock_timestamp() then
            kept := old;
        end if;
    elsif of_keep is not null then
        kept.kept_server := old.server;
        kept.kept_boot := old.boot;
        kept.kept_epoch := old.epoch;
        kept.keep_until := clock_timestamp() + of_keep;
    end if;
    number := begin_epoch(of_tenant, of_meeting);
    insert into meetings as m (tenant, meeting, participants, producers, server, boot, epoch, placed_at)
    values (of_tenant, of_meeting, of_participants, of_producers, of_server, of_boot, number, clock_timestamp())
    on conflict (tenant, meeting) do update set
        participants = of_participants, producers = of_producers, server = of_server, boot = of_boot, epoch = number,
        placed_at = clock_timestamp(), ended_at = null,
        created_at = case when m.ended_at is null then m.created_at else now() end,
        empty_since = case when m.ended_at is null then m.empty_since else now() end,
        kept_server = kept.kept_server, kept_boot = kept.kept_boot, kept_epoch = kept.kept_epoch, keep_until = kept.keep_until;
    -- What an older epoch had is gone with it: nothing is left to be closed, and seats get time to make their transports anew.
    update participants set idle_since = null, closed_below = case when left_at is null then seat else seat + 1 end
    where tenant = of_tenant and meeting = of_meeting;
    body := jsonb_build_object('mediaServerId', of_server, 'epoch', number);
    if of_event = 'MeetingCreated' then
        body := body || jsonb_build_object('capacity', jsonb_build_object('participants', of_participants, 'producers', of_producers));
    end if;
    if kept.keep_until is not null then
        body := body || jsonb_build_object('keepUntil', to_char(kept.keep_until at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'));
    end if;
    perform append_event(of_tenant, of_meeting, number, of_event, body);
    insert into placements (tenant, meeting, epoch, decision)
    values (of_tenant, of_meeting, number, of_decision || jsonb_build_object('epoch', number));
    return number;
end $$;

-- As in 0003, but an epoch begins, and the meeting is told: whatever of it was on the server is over, also for a server that comes
-- back. Seats get time as at a move. A meeting that waits already only has the decision added.
create or replace function unplace_meeting(of_tenant text, of_meeting text, of_decision jsonb) returns void language plpgsql as $$
declare
    old meetings;
    number bigint;
begin
    select * into old from meetings where tenant = of_tenant and meeting = of_meeting;
    insert into placements (tenant, meeting, epoch, decision) values (of_tenant, of_meeting, old.epoch, of_decision);
    if old.server is null then
        return;
    end if;
    update bookings set booked = booked - old.participants * old.producers where server = old.server;
    number := begin_epoch(of_tenant, of_meeting);
    update meetings set server = null, boot = null, epoch = number, placed_at = clock_timestamp()
    where tenant = of_tenant and meeting = of_meeting;
    update participants set idle_since = null, closed_below = case when left_at is null then seat else seat + 1 end
    where tenant = of_tenant and meeting = of_meeting;
    perform append_event(of_tenant, of_meeting, number, 'MeetingUnplaced', jsonb_build_object('epoch', number));
end $$;

-- As in 0003; the router that a drain left behind is kept no longer.
create or replace function end_meeting(of_tenant text, of_meeting text, of_command uuid, of_hash text, empty_for interval default null)
returns table (epoch bigint, server text, boot text, router text) language plpgsql as $$
#variable_conflict use_column
declare
    log event_heads;
    was meetings;
    ended_in bigint;
begin
    select * into log from event_heads h where h.tenant = of_tenant and h.meeting = of_meeting for update;
    if begin_step(of_command, 'end', of_hash) is not null then
        return;
    end if;
    if log.ended is distinct from false then
        raise exception 'no such meeting' using errcode = 'DK002';
    end if;
    select * into was from meetings m where m.tenant = of_tenant and m.meeting = of_meeting for update;
    if empty_for is not null and (was.empty_since is null or was.empty_since + empty_for > clock_timestamp()) then
        raise exception 'the meeting is not empty' using errcode = 'DK002';
    end if;
    perform append_event(of_tenant, of_meeting, log.epoch, 'MeetingEnded', '{}');
    ended_in := end_log(of_tenant, of_meeting);
    update bookings b set booked = b.booked - was.participants * was.producers where b.server = was.server;
    update meetings m set ended_at = now(), server = null, boot = null, placed_at = null, empty_since = null, epoch = ended_in,
        kept_server = null, kept_boot = null, kept_epoch = null, keep_until = null
    where m.tenant = of_tenant and m.meeting = of_meeting;
    update participants p set left_at = coalesce(p.left_at, now()), closed_below = p.seat + 1
    where p.tenant = of_tenant and p.meeting = of_meeting;
    return query select a.epoch, a.server, a.boot, a.router from allocations a
        where a.tenant = of_tenant and a.meeting = of_meeting and a.epoch = was.epoch;
end $$;
