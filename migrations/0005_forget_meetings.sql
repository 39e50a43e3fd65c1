-- depends: 0003_kendra 0004_media

-- Retention of meetings: one that ended long ago is forgotten as if it had never been. One of the same name begins at 1 again, under
-- a new incarnation, so with a Redis Stream of its own. Keep meetings for longer than participant tokens hold.
create function forget_meeting(of_tenant text, of_meeting text, kept interval) returns boolean language plpgsql as $$
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
    delete from meetings where tenant = of_tenant and meeting = of_meeting;
    delete from event_heads where tenant = of_tenant and meeting = of_meeting;
    return true;
end $$;

-- As in 0003, but the head row may be forgotten between the insert that finds it and the lock that waits for it.
create or replace function lock_place(of_tenant text, of_meeting text, of_command uuid default null, of_hash text default null)
returns table (repeated boolean, epoch bigint, ended boolean, participants integer, producers integer, server text, boot text, router text)
language plpgsql as $$
#variable_conflict use_column
declare
    seen boolean := false;
begin
    loop
        if of_command is not null then
            insert into event_heads (tenant, meeting, ended) values (of_tenant, of_meeting, true) on conflict do nothing;
        end if;
        perform from event_heads where tenant = of_tenant and meeting = of_meeting for update;
        exit when found or of_command is null;
    end loop;
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
