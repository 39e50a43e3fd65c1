-- depends: 0002_events

-- How a media server opens its transactions, in one round trip. Each statement of a volatile function has a snapshot of its
-- own, so what is read after the lock is read as of the lock.

-- Lock the meeting, then make sure that this server's own allocation still stands; it cannot be buried before the commit.
create function hold_allocation(of_tenant text, of_meeting text, of_epoch bigint, of_server text, of_boot text)
returns void language plpgsql as $$
begin
    perform lock_meeting(of_tenant, of_meeting, of_epoch);
    perform from allocations
    where tenant = of_tenant and meeting = of_meeting and epoch = of_epoch and server = of_server and boot = of_boot
    for key share;
    if not found then
        raise exception 'the allocation of epoch % does not stand', of_epoch using errcode = 'DK001';
    end if;
end $$;

-- Lock the meeting, then make sure that it wants this server; it cannot be moved before the commit. Returns its producer limit.
create function hold_meeting(of_tenant text, of_meeting text, of_epoch bigint, of_server text, of_boot text)
returns integer language plpgsql as $$
declare
    producer_limit integer;
begin
    perform lock_meeting(of_tenant, of_meeting, of_epoch);
    select producers into producer_limit from meetings
    where tenant = of_tenant and meeting = of_meeting and epoch = of_epoch and server = of_server and boot = of_boot
    for share;
    if not found then
        raise exception 'the meeting does not want this server at epoch %', of_epoch using errcode = 'DK001';
    end if;
    return producer_limit;
end $$;

-- Append events in the order given. `types`, `bodies` and `receivers` are as long as each other; a receiver may be null.
create function append_events(
    of_tenant text, of_meeting text, of_epoch bigint, types text[], bodies text[], receivers text[]
) returns void language plpgsql as $$
begin
    for number in 1 .. coalesce(array_length(types, 1), 0) loop
        perform append_event(of_tenant, of_meeting, of_epoch, types[number], bodies[number]::jsonb, receivers[number]);
    end loop;
end $$;
