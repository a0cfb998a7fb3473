//! Who waits for whom: the words of `after`, what is implied, an order that respects it, and the cycles that have none.

use super::{After, Condition, Draft, GiveUp, Kind, Result, Service, Task, Tell, is_below};
use crate::mem::{Arena, Keys, List};
use crate::names::subjects::INSTALL;

/// Fills in what each service waits for. What cannot be waited for breaks the service.
pub(super) fn link<'a>(
    services: &mut [Service<'a>],
    drafts: List<'a, Draft<'a>>,
    (keys, data): (&Keys<'a>, &str),
    arena: &Arena<'a>,
    tell: &mut Tell<'_>,
) -> Result<()> {
    let (mut last_early, mut last_shutdown) = (None, None);
    for (index, draft) in drafts.iter().enumerate() {
        let mut after = List::default();
        for word in &draft.bundle.after {
            match resolve(word, services, keys, arena)? {
                Ok(After::Service(other, _)) if usize::from(other) == index => {
                    fail(&mut services[index], arena.format(format_args!("after {word}: it waits for itself"))?, tell);
                }
                // One that is left out cannot hold up the others.
                Ok(After::Service(other, _)) if !services[usize::from(other)].is_wanted => {}
                Ok(condition) => after.push(arena, condition)?,
                Err(why) => fail(&mut services[index], arena.format(format_args!("after {word}: {why}"))?, tell),
            }
        }
        if let Some(id) = draft.bundle.give_up.strip_prefix("start:") {
            match keys.get(id) {
                Some(other) => services[index].policy.give_up = GiveUp::Start(other as u16),
                None => fail(&mut services[index], arena.format(format_args!("give-up start:{id}: there is no such bundle"))?, tell),
            }
        }
        if services[index].hold_ms > 0 {
            for (other, service) in services.iter().enumerate().filter(|(_, service)| service.policy.is_critical) {
                if service.is_wanted && other != index {
                    after.push(arena, After::Service(other as u16, Condition::Ready))?;
                }
            }
        }
        // What lies in a file system, or shows something of it, comes after it.
        let place = match services[index].task {
            Task::Bundle(path) => path,
            Task::Mount(mount) => mount.target,
            _ => c"",
        };
        for (other, service) in services.iter().enumerate().filter(|(other, _)| *other != index) {
            let Task::Mount(mount) = service.task else { continue };
            let is_in = |path: &[u8]| path == mount.target.to_bytes() || is_below(path, mount.target);
            if is_below(place.to_bytes(), mount.target) || draft.sources.iter().any(|source| is_in(source.as_bytes())) {
                after.push(arena, After::Service(other as u16, Condition::Exited))?;
            } else if INSTALL && !draft.is_early && matches!(services[index].task, Task::Bundle(_)) && is_in(data.as_bytes()) {
                // What is started may be installed there; where that cannot be mounted, it is what lies elsewhere.
                after.push(arena, After::Service(other as u16, Condition::Ended))?;
            }
        }
        if let Task::Bundle(_) = services[index].task {
            // `onboot` runs one after the other, and before all that says nothing else; `onshutdown` one after the other.
            let chain = match draft.kind {
                Kind::Shutdown => &mut last_shutdown,
                _ if draft.is_early => &mut last_early,
                _ => &mut last_early.clone(),
            };
            if let (Some(before), false) = (*chain, draft.bundle.after.is_present()) {
                after.push(arena, After::Service(before, Condition::Ended))?;
            }
            if (draft.is_early || draft.kind == Kind::Shutdown) && services[index].is_wanted {
                *chain = Some(index as u16);
            }
        }
        services[index].after = after;
    }
    Ok(())
}

fn fail<'a>(service: &mut Service<'a>, why: &'a str, tell: &mut Tell<'_>) {
    tell(service.id, format_args!("{why}"));
    service.task = Task::Broken(why);
}

fn resolve<'a>(
    word: &'a str,
    services: &[Service<'a>],
    keys: &Keys<'a>,
    arena: &Arena<'a>,
) -> Result<core::result::Result<After<'a>, &'static str>> {
    let (name, condition) = word.split_once(':').unwrap_or((word, ""));
    if name == "path" && condition.starts_with('/') {
        return Ok(Ok(After::Path(super::c_str(condition, arena)?)));
    }
    if name == "network" {
        return Ok(Ok(After::Network(condition)));
    }
    let Some(other) = keys.get(name) else { return Ok(Err("there is no such bundle")) };
    let usual = if services[other].policy.kind == Kind::Service { Condition::Ready } else { Condition::Exited };
    let condition = match condition {
        "" => usual,
        "started" => Condition::Started,
        "ready" => Condition::Ready,
        "exited" => Condition::Exited,
        "failed" => Condition::Failed,
        "ended" => Condition::Ended,
        _ => return Ok(Err("wants started, ready, exited, failed or ended after the colon")),
    };
    Ok(Ok(After::Service(other as u16, condition)))
}

fn others<'a>(service: &Service<'a>) -> impl Iterator<Item = usize> + use<'a> {
    service.after.iter().filter_map(|after| if let After::Service(other, _) = after { Some(usize::from(*other)) } else { None })
}

/// Orders the services so that each comes after what it waits for, in time linear in their number and in what they wait for.
/// Those that wait for themselves in the end are named and broken, and come last.
pub(super) fn order<'a>(services: &mut [Service<'a>], arena: &Arena<'a>, tell: &mut Tell<'_>) -> Result<&'a [u16]> {
    let count = services.len();
    // Chains of those that wait for a service: where its chain begins, and for each edge who waits and the next edge.
    let first = arena.slice(count, |_| u32::MAX)?;
    let waits = arena.slice(count, |index| others(&services[index]).count())?;
    let edges = arena.slice(waits.iter().sum(), |_| (0u16, u32::MAX))?;
    let mut used = 0;
    for (index, service) in services.iter().enumerate() {
        for other in others(service) {
            edges[used] = (index as u16, first[other]);
            first[other] = used as u32;
            used += 1;
        }
    }
    let order = arena.slice(count, |_| 0u16)?;
    let (mut known, mut done) = (0, 0);
    for index in (0..count).filter(|index| waits[*index] == 0) {
        order[known] = index as u16;
        known += 1;
    }
    while done < known {
        let mut edge = first[usize::from(order[done])];
        while let Some(&(waiting, next)) = edges.get(edge as usize) {
            let left = &mut waits[usize::from(waiting)];
            *left -= 1;
            if *left == 0 {
                order[known] = waiting;
                known += 1;
            }
            edge = next;
        }
        done += 1;
    }
    for index in 0..count {
        if waits[index] > 0 {
            order[known] = index as u16;
            known += 1;
            if let Some(cycle) = cycle_through(index, services, waits, arena)? {
                fail(&mut services[index], cycle, tell);
            }
        }
    }
    Ok(order)
}

/// The cycle that this one is part of, in words; none if it only waits for one.
fn cycle_through<'a>(start: usize, services: &[Service<'a>], waits: &[usize], arena: &Arena<'a>) -> Result<Option<&'a str>> {
    // Breadth first back to the start: the shortest cycle.
    let from = arena.slice(services.len(), |_| usize::MAX)?;
    let queue = arena.slice(services.len() + 1, |_| 0usize)?;
    (queue[0], from[start]) = (start, start);
    let (mut next, mut end) = (0, 1);
    while next < end {
        let here = queue[next];
        next += 1;
        for other in others(&services[here]).filter(|other| waits[*other] > 0) {
            if other == start {
                return Ok(Some(arena.format(format_args!("a cycle: {}", Cycle { services, from, start, last: here }))?));
            }
            if from[other] == usize::MAX {
                from[other] = here;
                queue[end] = other;
                end += 1;
            }
        }
    }
    Ok(None)
}

struct Cycle<'s, 'a> {
    services: &'s [Service<'a>],
    from: &'s [usize],
    start: usize,
    last: usize,
}

impl core::fmt::Display for Cycle<'_, '_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        const SHOWN: usize = 16;
        let name = |index: usize| self.services[index].id;
        f.write_str(name(self.start))?;
        let mut here = self.last;
        for _ in 0..SHOWN {
            if here == self.start {
                return write!(f, ", before it {}", name(here));
            }
            write!(f, ", before it {}", name(here))?;
            here = self.from[here];
        }
        f.write_str(", …")
    }
}
