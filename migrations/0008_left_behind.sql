-- depends: 0007_moving

-- When a gateway last said that somebody follows the meeting's events in this seat. Written each few seconds, so no index has it, and
-- pages keep room for the new version of a row.
alter table participants add column seen_at timestamptz;
alter table participants set (fillfactor = 80);

-- Whether the client said who it is (ConnectTransport). One that never did is not missed by the media server when it is gone.
alter table transports add column connected boolean not null default false;
update transports set connected = true;

-- Since when no media server has this name; kendra's column.
alter table bookings add column unknown_since timestamptz;

-- writer: kendra. What the log says of the meeting at the event `sequence` (services/kendra/meeting.py as JSON): what was before it may
-- be forgotten. A log whose `base` is not 0 has such a row, at its base or later.
create table log_bases (
    tenant   text not null,
    meeting  text not null,
    sequence bigint not null,
    at       timestamptz not null,
    state    jsonb not null,
    primary key (tenant, meeting)
);

-- The meeting as services/kendra/meeting.py has it, read from the rows: what a log that lost its past begins with.
create function meeting_state(of_tenant text, of_meeting text) returns jsonb language sql stable as $$
    select jsonb_build_object(
        'sequence', h.head,
        'epoch', m.epoch,
        'server', m.server,
        'capacity', jsonb_build_object('participants', m.participants, 'producers', m.producers),
        'ended', m.ended_at is not null,
        'participants', (
            select coalesce(jsonb_object_agg(p.participant, jsonb_build_object('seat', p.seat, 'display_name', p.display_name)), '{}')
            from participants p where p.tenant = m.tenant and p.meeting = m.meeting and p.left_at is null
        ),
        'producers', (
            select coalesce(jsonb_object_agg(s.id, jsonb_build_object(
                'participant', s.participant, 'kind', s.kind, 'paused', s.paused, 'app_data', s.app_data)), '{}')
            from producers s
            join participants p on p.tenant = s.tenant and p.meeting = s.meeting and p.participant = s.participant
                and p.left_at is null and p.seat = s.seat
            where s.tenant = m.tenant and s.meeting = m.meeting and s.epoch = m.epoch
        )
    )
    from meetings m join event_heads h on h.tenant = m.tenant and h.meeting = m.meeting
    where m.tenant = of_tenant and m.meeting = of_meeting;
$$;

-- Logs of before this migration that lost their beginning: history begins now.
insert into log_bases (tenant, meeting, sequence, at, state)
select h.tenant, h.meeting, h.head, now(), meeting_state(h.tenant, h.meeting)
from event_heads h join meetings m on m.tenant = h.tenant and m.meeting = h.meeting where h.base > 0;

-- Retention: remove a meeting's events up to a sequence, and keep what they came to. `up_to_at` is that event's time, and tells this log
-- from another of the same name. Returns how many went: none when the log's base is not the one that was folded from any more.
create function keep_base(
    of_tenant text, of_meeting text, old_base bigint, up_to bigint, up_to_at timestamptz, of_state jsonb
) returns bigint language plpgsql as $$
declare
    gone bigint;
begin
    perform from event_heads where tenant = of_tenant and meeting = of_meeting and base = old_base for update;
    if not found or not exists (
        select from events where tenant = of_tenant and meeting = of_meeting and sequence = up_to and at = up_to_at
    ) then
        return 0;
    end if;
    insert into log_bases as b (tenant, meeting, sequence, at, state) values (of_tenant, of_meeting, up_to, up_to_at, of_state)
    on conflict (tenant, meeting) do update set sequence = excluded.sequence, at = excluded.at, state = excluded.state
    where b.sequence < excluded.sequence;
    delete from events where tenant = of_tenant and meeting = of_meeting and sequence <= up_to;
    get diagnostics gone = row_count;
    update event_heads set base = up_to where tenant = of_tenant and meeting = of_meeting;
    return gone;
end $$;
drop function forget_events(text, text, bigint);

-- As in 0003; what is lost of the log's past is kept as the rows have it.
create or replace function reset_log(of_tenant text, of_meeting text, redis_has bigint) returns void language plpgsql as $$
declare
    log event_heads;
begin
    select * into log from event_heads where tenant = of_tenant and meeting = of_meeting for update;
    if log.head >= redis_has then
        return;
    end if;
    delete from events where tenant = of_tenant and meeting = of_meeting;
    update event_heads set head = redis_has + 2, base = redis_has + 1 where tenant = of_tenant and meeting = of_meeting;
    insert into events (tenant, meeting, sequence, epoch, type, body)
    values (of_tenant, of_meeting, redis_has + 2, log.epoch, 'LogReset', '{}');
    insert into log_bases (tenant, meeting, sequence, at, state)
    values (of_tenant, of_meeting, redis_has + 2, clock_timestamp(), meeting_state(of_tenant, of_meeting))
    on conflict (tenant, meeting) do update set sequence = excluded.sequence, at = excluded.at, state = excluded.state;
end $$;

-- As in 0005; with the log its base.
create or replace function forget_meeting(of_tenant text, of_meeting text, kept interval) returns boolean language plpgsql as $$
begin
    perform from event_heads where tenant = of_tenant and meeting = of_meeting for update;
    if exists (select from allocations where tenant = of_tenant and meeting = of_meeting) or not exists (
        select from meetings where tenant = of_tenant and meeting = of_meeting and ended_at < clock_timestamp() - kept
    ) then
        return false;
    end if;
    delete from participants where tenant = of_tenant and meeting = of_meeting;
    delete from relays where tenant = of_tenant and meeting = of_meeting;
    delete from events where tenant = of_tenant and meeting = of_meeting;
    delete from log_bases where tenant = of_tenant and meeting = of_meeting;
    delete from meetings where tenant = of_tenant and meeting = of_meeting;
    delete from event_heads where tenant = of_tenant and meeting = of_meeting;
    return true;
end $$;

-- Whether somebody uses a seat: it has a transport whose peer is known, or one that waits for its peer while the seat is seen. A page that
-- is alone connects nothing, and the media server would never miss it.
create function seat_is_used(
    of_tenant text, of_meeting text, of_epoch bigint, of_participant text, of_seat bigint, seen boolean
) returns boolean language sql stable as $$
    select exists (
        select from transports where tenant = of_tenant and meeting = of_meeting and epoch = of_epoch
        and participant = of_participant and seat = of_seat and (connected or seen)
    );
$$;

-- As in 0006; a seat is over (`gone`) when nobody uses it, with `unseen` for how long nobody may have been seen in it.
drop function leave_meeting(text, text, text, bigint, text, uuid, text);
create function leave_meeting(
    of_tenant text, of_meeting text, of_participant text, of_seat bigint, of_reason text, of_command uuid, of_hash text,
    unseen interval default null
) returns bigint language plpgsql as $$
declare
    done jsonb;
    held participants;
    now_in bigint;
begin
    perform from event_heads where tenant = of_tenant and meeting = of_meeting for update;
    done := begin_step(of_command, of_reason, of_hash);
    if done is not null then
        return (done ->> 'seat')::bigint;
    end if;
    perform lock_meeting(of_tenant, of_meeting, null);
    select * into held from participants
    where tenant = of_tenant and meeting = of_meeting and participant = of_participant and left_at is null;
    if held.seat is null and of_seat is null then
        raise exception 'not seated' using errcode = 'DK008';
    end if;
    if of_seat is not null and held.seat is distinct from of_seat then
        raise exception 'the seat was given up' using errcode = 'DK004';
    end if;
    select epoch into now_in from event_heads where tenant = of_tenant and meeting = of_meeting;
    if of_reason = 'gone' and seat_is_used(of_tenant, of_meeting, now_in, of_participant, held.seat,
        greatest(held.seen_at, held.joined_at) + unseen > clock_timestamp())
    then
        delete from steps where command = of_command and step = of_reason;
        return null;
    end if;
    update participants set left_at = now()
    where tenant = of_tenant and meeting = of_meeting and participant = of_participant and instance = held.instance;
    perform append_event(of_tenant, of_meeting, now_in, 'ParticipantLeft',
        jsonb_build_object('participantId', of_participant, 'reason', of_reason));
    update meetings set empty_since = now() where tenant = of_tenant and meeting = of_meeting and not exists (
        select from participants where tenant = of_tenant and meeting = of_meeting and left_at is null);
    perform end_step(of_command, of_reason, jsonb_build_object('seat', held.seat));
    return held.seat;
end $$;
