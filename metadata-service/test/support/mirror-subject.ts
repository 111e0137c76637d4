/** Stores behind a mirror that answers, for the conformance suites. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createMemoryEntryStore } from '../../src/adapters/embedded/memory-entry-store.js'
import {
  type MirroredEntryStore,
  openMirroredEntryStore,
} from '../../src/adapters/mirror/mirror-entry-store.js'
import { createKeyValueStore } from '../../src/core/commit/batcher.js'
import type { EntryStore } from '../../src/ports.js'
import type { MirrorSource } from '../../src/ports-mirror.js'
import { createMirrorSource } from '../../src/simulation/mirror-source.js'
import { createWorld, range, type Subject, type World, withIsolationCheck } from '../conformance/subject.js'

/** The suites put rows of all kinds under leases. */
const LEASED = [range('s/', 's0'), range('w/', 'w0')]
const FOLLOWS_MS = 60_000

export interface MirrorSubject extends Subject {
  readonly mirror: MirroredEntryStore
}

/** A batcher over a mirror of `store`, once it answers. */
export async function openMirrorSubject(
  world: World,
  store: EntryStore & MirrorSource,
): Promise<MirrorSubject> {
  const folder = mkdtempSync(join(tmpdir(), 'cairn-mirror-'))
  const log = { info: () => undefined, error: () => undefined }
  const path = join(folder, 'mirror.sqlite')
  const mirror = await openMirroredEntryStore({ store, path, ...world, log, leasedRanges: LEASED })
  const untilMs = world.clock.monotonicMs() + FOLLOWS_MS
  while (mirror.status().state !== 'following') {
    if (world.clock.monotonicMs() > untilMs) throw new Error('the mirror is not filled')
    await world.clock.advance(5)
  }
  return {
    world,
    mirror,
    store: createKeyValueStore({ store: withIsolationCheck(mirror), ...world, service: 'test' }),
    discard: () => {
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A mirror of a store in memory. */
export function openMemoryMirrorSubject(worldSeed?: number): Promise<MirrorSubject> {
  const world = createWorld(worldSeed)
  const store = createMemoryEntryStore({ clock: world.clock })
  return openMirrorSubject(world, createMirrorSource({ store, ...world }))
}
