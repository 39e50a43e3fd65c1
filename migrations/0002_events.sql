-- depends: 0001_tables

-- The functions that may touch event_heads and events, and bury_boot, which may touch a dead boot's rows.
-- Their own errors carry the sqlstates DK001 (stale_epoch), DK002 (meeting_not_found) and DK003 (lease_held).

-- Lock the meeting: the first statement of every transaction about a live meeting. Read in later statements; a snapshot
-- taken in the locking statement is stale.
create function lock_meeting(of_tenant text, of_meeting text, of_epoch bigint) returns void language plpgsql as $$
declare
    row event_heads;
begin
    select * into row from event_heads where tenant = of_tenant and meeting = of_meeting for update;
    if not found or row.ended then
        raise exception 'no such meeting' using errcode = 'DK002';
    end if;
    if of_epoch is not null and row.epoch <> of_epoch then
        raise exception 'the meeting is at epoch %, not %', row.epoch, of_epoch using errcode = 'DK001';
    end if;
end $$;

-- Begin an epoch (create, move): raises the meeting's epoch and opens its log; sequences go on. Locks the head row. Returns the new epoch.
create function begin_epoch(of_tenant text, of_meeting text) returns bigint language sql as $$
    insert into event_heads (tenant, meeting, epoch) values (of_tenant, of_meeting, 1)
    on conflict (tenant, meeting) do update set epoch = event_heads.epoch + 1, ended = false
    returning epoch;
$$;

-- End the log: nothing can be appended until the next epoch begins. Returns the epoch that is now in force.
create function end_log(of_tenant text, of_meeting text) returns bigint language sql as $$
    update event_heads set epoch = epoch + 1, ended = true where tenant = of_tenant and meeting = of_meeting returning epoch;
$$;

-- Append one event inside the transaction of the thing itself. The row lock is held to the commit, so commit order is sequence order.
create function append_event(of_tenant text, of_meeting text, of_epoch bigint, of_type text, of_body jsonb, of_to text default null)
returns bigint language plpgsql as $$
declare
    number bigint;
begin
    perform lock_meeting(of_tenant, of_meeting, of_epoch);
    update event_heads set head = head + 1 where tenant = of_tenant and meeting = of_meeting returning head into number;
    insert into events (tenant, meeting, sequence, epoch, type, body, "to")
    values (of_tenant, of_meeting, number, of_epoch, of_type, of_body, of_to);
    return number;
end $$;

-- Retention: remove a meeting's events up to a sequence; `base` says so to the relay.
create function forget_events(of_tenant text, of_meeting text, up_to bigint) returns void language sql as $$
    update event_heads set base = greatest(base, least(up_to, head)) where tenant = of_tenant and meeting = of_meeting;
    delete from events where tenant = of_tenant and meeting = of_meeting and sequence <= up_to;
$$;

-- Clear the rows of a boot whose lease is over, or that a newer boot of the same server has replaced. No events.
create function bury_boot(of_server text, of_boot text, lease interval) returns boolean language plpgsql as $$
declare
    row media_servers;
begin
    select * into row from media_servers where server = of_server and boot = of_boot for update;
    if found and row.renewed_at + lease > clock_timestamp()
       and not exists (select from media_servers where server = of_server and started_at > row.started_at) then
        raise exception 'the lease of % % is not over', of_server, of_boot using errcode = 'DK003';
    end if;
    delete from allocations where server = of_server and boot = of_boot;
    delete from media_servers where server = of_server and boot = of_boot;
    return row.server is not null;
end $$;
