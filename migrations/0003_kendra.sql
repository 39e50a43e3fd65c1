-- depends: 0002_events

-- What kendra does in one round trip. Every function about a live meeting locks the head row first, then the meeting, then bookings
-- by server name, and reads in later statements. Errors besides those of 0002: DK004 stale_instance, DK005 meeting_full,
-- DK006 forbidden, DK007 idempotency_key_reused, DK008 participant_not_found, DK009 no room on that server any more (kendra looks again).

-- When the booking was made: what is younger than a server's heartbeat is not in its measured load yet.
alter table meetings add column placed_at timestamptz;
-- Since when the seat has no transport; null while it has one, or until the sweep has looked.
alter table participants add column idle_since timestamptz;
create index participants_unconfirmed on participants (tenant, meeting) where closed_below < seat or (left_at is not null and closed_below = seat);
create index meetings_empty on meetings (empty_since) where empty_since is not null and ended_at is null;

-- The first insert of a transaction: null if this is the first time, else what the step resulted in.
create function begin_step(of_command uuid, of_step text, of_hash text) returns jsonb language plpgsql as $$
declare
    done steps;
begin
    insert into steps (command, step, hash) values (of_command, of_step, of_hash) on conflict do nothing;
    if found then
        return null;
    end if;
    select * into done from steps where command = of_command and step = of_step;
    if done.hash <> of_hash then
        raise exception 'the command was sent before with another body' using errcode = 'DK007';
    end if;
    return done.result;
end $$;

create function end_step(of_command uuid, of_step text, of_result jsonb) returns void language sql as $$
    update steps set result = of_result where command = of_command and step = of_step;
$$;

-- Lock the meeting to place it, and read where it is. With a command (create), begin the log and the step as well.
-- Always one row; `epoch` is null when the meeting never was.
create function lock_place(of_tenant text, of_meeting text, of_command uuid default null, of_hash text default null)
returns table (repeated boolean, epoch bigint, ended boolean, participants integer, producers integer, server text, boot text, router text)
language plpgsql as $$
#variable_conflict use_column
declare
    seen boolean := false;
begin
    if of_command is not null then
        insert into event_heads (tenant, meeting, ended) values (of_tenant, of_meeting, true) on conflict do nothing;
    end if;
    perform from event_heads where tenant = of_tenant and meeting = of_meeting for update;
    if of_command is not null then
        seen := begin_step(of_command, 'create', of_hash) is not null;
    end if;
    perform from meetings where tenant = of_tenant and meeting = of_meeting for update;
    return query
        select seen, m.epoch, m.ended_at is not null, m.participants, m.producers, m.server, m.boot, a.router
        from (select) one
        left join meetings m on m.tenant = of_tenant and m.meeting = of_meeting
        left join allocations a on a.tenant = m.tenant and a.meeting = m.meeting and a.epoch = m.epoch
            and a.server = m.server and a.boot = m.boot;
end $$;

-- Lock bookings in the order of their names.
create function lock_bookings(of_servers text[]) returns setof bookings language sql as $$
    select * from bookings where server = any (of_servers) order by server for update;
$$;

-- Put a meeting (locked, and its bookings) on a server: a new epoch begins there, the old booking is given back.
create function place_meeting(
    of_tenant text, of_meeting text, of_participants integer, of_producers integer, of_server text, of_boot text,
    of_event text, of_decision jsonb
) returns bigint language plpgsql as $$
declare
    old meetings;
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
    number := begin_epoch(of_tenant, of_meeting);
    insert into meetings as m (tenant, meeting, participants, producers, server, boot, epoch, placed_at)
    values (of_tenant, of_meeting, of_participants, of_producers, of_server, of_boot, number, clock_timestamp())
    on conflict (tenant, meeting) do update set
        participants = of_participants, producers = of_producers, server = of_server, boot = of_boot, epoch = number,
        placed_at = clock_timestamp(), ended_at = null,
        created_at = case when m.ended_at is null then m.created_at else now() end,
        empty_since = case when m.ended_at is null then m.empty_since else now() end;
    -- What an older epoch had is gone with it: nothing is left to be closed, and seats get time to make their transports anew.
    update participants set idle_since = null, closed_below = case when left_at is null then seat else seat + 1 end
    where tenant = of_tenant and meeting = of_meeting;
    body := jsonb_build_object('mediaServerId', of_server, 'epoch', number);
    if of_event = 'MeetingCreated' then
        body := body || jsonb_build_object('capacity', jsonb_build_object('participants', of_participants, 'producers', of_producers));
    end if;
    perform append_event(of_tenant, of_meeting, number, of_event, body);
    insert into placements (tenant, meeting, epoch, decision)
    values (of_tenant, of_meeting, number, of_decision || jsonb_build_object('epoch', number));
    return number;
end $$;

-- Take a meeting (locked) from its server without another: the booking is given back, the meeting waits for a place.
create function unplace_meeting(of_tenant text, of_meeting text, of_decision jsonb) returns void language plpgsql as $$
declare
    old meetings;
begin
    select * into old from meetings where tenant = of_tenant and meeting = of_meeting;
    update bookings set booked = booked - old.participants * old.producers where server = old.server;
    update meetings set server = null, boot = null, placed_at = null where tenant = of_tenant and meeting = of_meeting;
    insert into placements (tenant, meeting, epoch, decision) values (of_tenant, of_meeting, old.epoch, of_decision);
end $$;

-- Take a seat. `proven`: the caller proved to be the participant; `token_seat`: the seat that the proof was given for.
-- The seat's number is the sequence of the event that seats it. `close_below` is null when nothing older is left on the media server.
create function join_meeting(
    of_tenant text, of_meeting text, of_epoch bigint, of_participant text, of_instance text, of_name text,
    of_command uuid, of_hash text, proven boolean, token_seat bigint
) returns table (seat bigint, close_below bigint, head bigint, seated json, sent json) language plpgsql as $$
#variable_conflict use_column
declare
    done jsonb;
    held participants;
    number bigint;
    room integer;
begin
    perform lock_meeting(of_tenant, of_meeting, of_epoch);
    done := begin_step(of_command, 'join', of_hash);
    select * into held from participants p
    where p.tenant = of_tenant and p.meeting = of_meeting and p.participant = of_participant and p.left_at is null;
    number := held.seat;
    if done is not null then
        if number is distinct from (done ->> 'seat')::bigint then
            raise exception 'the seat was given up' using errcode = 'DK004';
        end if;
    else
        if token_seat is not null and number is distinct from token_seat then
            raise exception 'the seat of the token was given up' using errcode = 'DK004';
        end if;
        if number is not null and not proven then
            raise exception 'an invitation seats only who is not seated' using errcode = 'DK006';
        end if;
        if held.instance is distinct from of_instance then
            if number is null then
                select m.participants into room from meetings m
                where m.tenant = of_tenant and m.meeting = of_meeting and m.ended_at is null;
                if coalesce(room, 0) <= (
                    select count(*) from participants p where p.tenant = of_tenant and p.meeting = of_meeting and p.left_at is null
                ) then
                    raise exception 'every seat is taken' using errcode = 'DK005';
                end if;
                update meetings set empty_since = null
                where tenant = of_tenant and meeting = of_meeting and empty_since is not null;
            else
                update participants p set left_at = now()
                where p.tenant = of_tenant and p.meeting = of_meeting and p.participant = of_participant and p.instance = held.instance;
            end if;
            number := append_event(
                of_tenant, of_meeting, of_epoch, case when held.seat is null then 'ParticipantJoined' else 'ParticipantReplaced' end,
                jsonb_strip_nulls(jsonb_build_object('participantId', of_participant, 'displayName', of_name))
            );
            insert into participants as p (tenant, meeting, participant, instance, seat, command, display_name, closed_below)
            select of_tenant, of_meeting, of_participant, of_instance, number, of_command, of_name, case when exists (
                select from participants o where o.tenant = of_tenant and o.meeting = of_meeting
                and o.participant = of_participant and o.closed_below <= o.seat
            ) then 0 else number end
            on conflict (tenant, meeting, participant, instance) do update set
                seat = excluded.seat, command = excluded.command, display_name = excluded.display_name,
                closed_below = excluded.closed_below, joined_at = now(), left_at = null, idle_since = null;
        end if;
        perform end_step(of_command, 'join', jsonb_build_object('seat', number));
    end if;
    return query select number,
        (select number from participants p where p.tenant = of_tenant and p.meeting = of_meeting
            and p.participant = of_participant and p.instance = of_instance and p.closed_below < p.seat),
        (select h.head from event_heads h where h.tenant = of_tenant and h.meeting = of_meeting),
        seated_json(of_tenant, of_meeting), producers_json(of_tenant, of_meeting, of_epoch);
end $$;

-- The views of contracts/meeting.py as JSON, so that a list is one column.
create function seated_json(of_tenant text, of_meeting text) returns json language sql stable as $$
    select coalesce(json_agg(json_build_object(
        'participantId', participant, 'displayName', display_name, 'joinedAt', joined_at) order by seat), '[]')
    from participants where tenant = of_tenant and meeting = of_meeting and left_at is null;
$$;

-- Only of seats that are held: what a seat that is over left behind is being closed.
create function producers_json(of_tenant text, of_meeting text, of_epoch bigint) returns json language sql stable as $$
    select coalesce(json_agg(json_build_object(
        'id', s.id, 'participantId', s.participant, 'kind', s.kind, 'paused', s.paused, 'appData', s.app_data
    ) order by s.created_at, s.id), '[]')
    from producers s
    join participants p on p.tenant = s.tenant and p.meeting = s.meeting and p.participant = s.participant
        and p.left_at is null and p.seat = s.seat
    where s.tenant = of_tenant and s.meeting = of_meeting and s.epoch = of_epoch;
$$;

-- Give up a seat (`left`), take it (`kicked`, any seat), or clear one that has no transport (`gone`; null when it has one after all).
-- Returns the seat that is over.
create function leave_meeting(
    of_tenant text, of_meeting text, of_participant text, of_seat bigint, of_reason text, of_command uuid, of_hash text
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
    if of_reason = 'gone' and exists (
        select from transports where tenant = of_tenant and meeting = of_meeting and epoch = now_in
        and participant = of_participant and seat = held.seat
    ) then
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

-- The media server confirmed that nothing of the participant below that seat is left.
create function confirm_closed(of_tenant text, of_meeting text, of_participant text, below bigint) returns void language plpgsql as $$
begin
    perform from event_heads where tenant = of_tenant and meeting = of_meeting for update;
    update participants set closed_below = greatest(closed_below, below)
    where tenant = of_tenant and meeting = of_meeting and participant = of_participant and seat <= below;
end $$;

-- End a meeting; with `empty_for` only one that has been empty that long. Returns where it lived, no row when nothing was left to end.
create function end_meeting(of_tenant text, of_meeting text, of_command uuid, of_hash text, empty_for interval default null)
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
    update meetings m set ended_at = now(), server = null, boot = null, placed_at = null, empty_since = null, epoch = ended_in
    where m.tenant = of_tenant and m.meeting = of_meeting;
    update participants p set left_at = coalesce(p.left_at, now()), closed_below = p.seat + 1
    where p.tenant = of_tenant and p.meeting = of_meeting;
    return query select a.epoch, a.server, a.boot, a.router from allocations a
        where a.tenant = of_tenant and a.meeting = of_meeting and a.epoch = was.epoch;
end $$;

-- A relay found that Redis is ahead of the log (a restore): leave a gap that readers see, and say so.
create function reset_log(of_tenant text, of_meeting text, redis_has bigint) returns void language plpgsql as $$
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
end $$;

-- A bookings row for each media server that is known, with its newest boot's capacity, but never below what is booked.
-- Touches only the rows that are not so yet, for what is locked here is waited for by creates.
create function sync_bookings() returns void language sql as $$
    insert into bookings as b (server, capacity)
    select newest.server, newest.capacity from (
        select distinct on (server) server, capacity from media_servers order by server, started_at desc
    ) newest
    left join bookings old on old.server = newest.server
    where old.server is null or old.capacity <> greatest(newest.capacity, old.booked)
    order by newest.server
    on conflict (server) do update set capacity = greatest(excluded.capacity, b.booked);
$$;
