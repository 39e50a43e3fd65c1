-- depends: 0003_kendra 0005_forget_meetings

-- As in 0003, but a seat that has a transport after all leaves no step behind: the sweep gives seats up under an id of the seat, and
-- a step without a result made it pass over that seat for a day.
create or replace function leave_meeting(
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
delete from steps where step = 'gone' and result = '{}';

-- What the rounds of each second read must not grow with what is over.
create index meetings_running on meetings (tenant, meeting) where ended_at is null;
create index meetings_placed on meetings (server, placed_at) where server is not null;
create index participants_idle on participants (tenant, meeting) where left_at is null and idle_since is not null;
