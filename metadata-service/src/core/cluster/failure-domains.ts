/** How far apart the copies of a pool lie. Pure. */
import type { Drive, FailureDomain, Member } from '@cairn/protocol'

const WIDEST_FIRST: readonly FailureDomain[] = ['zone', 'rack', 'host', 'drive']

/** Share of the room that may be lost by keeping copies further apart. */
const ROOM_LOST_MAX = 0.1

/**
 * The widest kind of domain in which each copy can have one of its own without wasting room: a single small rack
 * beside two large ones would be full long before them.
 */
export function widestDomain(
  drives: readonly Drive[],
  members: ReadonlyMap<string, Member>,
  replicas: number,
): FailureDomain {
  const roomOf = (kind: FailureDomain): number => usableRoom(roomByDomain(drives, members, kind), replicas)
  const needed = roomOf('drive') * (1 - ROOM_LOST_MAX)
  const fits = (kind: FailureDomain): boolean => {
    const room = roomOf(kind)
    return room > 0 && room >= needed
  }
  return WIDEST_FIRST.find(fits) ?? 'drive'
}

/** The name of a drive's failure domain; narrower names are told apart by the wider ones around them. */
export function domainOf(drive: Drive, members: ReadonlyMap<string, Member>, kind: FailureDomain): string {
  const member = members.get(drive.server)
  if (kind === 'drive' || member === undefined) return drive.id
  const depth = kind === 'zone' ? 1 : kind === 'rack' ? 2 : 3
  return JSON.stringify([member.zone, member.rack, member.host].slice(0, depth))
}

/** Whether copies in domains of kind `a` lie further apart than in those of `b`. */
export function isWider(a: FailureDomain, b: FailureDomain): boolean {
  return WIDEST_FIRST.indexOf(a) < WIDEST_FIRST.indexOf(b)
}

function roomByDomain(
  drives: readonly Drive[],
  members: ReadonlyMap<string, Member>,
  kind: FailureDomain,
): number[] {
  const rooms = new Map<string, number>()
  for (const drive of drives) {
    const name = domainOf(drive, members, kind)
    rooms.set(name, (rooms.get(name) ?? 0) + Math.max(1, drive.capacityBytes))
  }
  return [...rooms.values()]
}

/** Bytes that can be kept in `replicas` copies, each in another domain; 0 with fewer domains than copies. */
function usableRoom(rooms: readonly number[], replicas: number): number {
  const smallestFirst = [...rooms].sort((a, b) => a - b)
  let copies = replicas
  // The largest domain holds at most one copy of everything: what it has beyond that is of no use.
  while (copies > 0 && smallestFirst.length >= copies) {
    const largest = smallestFirst.at(-1) ?? 0
    const total = smallestFirst.reduce((sum, room) => sum + room, 0)
    if (largest * copies <= total) return total / copies
    smallestFirst.pop()
    copies--
  }
  return 0
}
