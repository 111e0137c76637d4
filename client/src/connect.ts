/** Wires the client together: the only place that knows all its parts. */
import type {
  BlockMap,
  BlockSlice,
  BucketInfo,
  Clock,
  HandshakeIdentity,
  Network,
  Random,
  ServiceDirectory,
} from '@cairn/protocol'
import { type AdminClient, createAdminClient } from './admin.js'
import type { CairnClient, CallControl } from './api.js'
import { FramePool } from './blocks/frames.js'
import { KnownBlocks } from './blocks/known-blocks.js'
import { RecentBlocks } from './blocks/recent-blocks.js'
import { coveredBytes, slicesInRange } from './bodies/block-maps.js'
import type { DigestLanes } from './bodies/digest-lanes.js'
import { ClusterView } from './cluster/cluster-view.js'
import { findTrouble } from './cluster/find-trouble.js'
import { MetadataCaller } from './cluster/metadata-caller.js'
import { ReadReports } from './cluster/read-reports.js'
import { SessionKeeper } from './cluster/session.js'
import { SpeedReports } from './cluster/speed-reports.js'
import { FRAME_BYTES, FRAMES_MAX, HEDGE_TOKENS_MAX } from './limits.js'
import { createBucketMethods } from './objects/buckets.js'
import { FactCache } from './objects/fact-cache.js'
import { createListingMethods } from './objects/listings.js'
import { createObjectMethods } from './objects/objects.js'
import type { UploadFacts } from './objects/store-part.js'
import { createUploadMethods } from './objects/uploads.js'
import {
  type BlockDamage,
  type ClientCounters,
  type ClientParts,
  createCounters,
  LateWrites,
} from './parts.js'

/** What a client stands on: all that is not pure comes from here. */
export interface ConnectOptions {
  readonly network: Network
  /** Addresses of metadata services, at least one, or a directory of them. */
  readonly metadata: readonly string[] | ServiceDirectory
  readonly identity: HandshakeIdentity
  readonly clock: Clock
  readonly random: Random
  /** Threads for the digests of long bodies; without any the event loop computes them. Closed with the client. */
  readonly lanes?: DigestLanes
  /**
   * Memory for blocks written lately, from which they are read then, in bytes: beside what writers may need, of which
   * they take what is not in use. None unless given.
   */
  readonly recentBytes?: number
  /** What the session is shown as; the identity's role unless given. */
  readonly role?: string
  /** Called for every replica that is found corrupt or missing. Must not throw. */
  readonly onDamage?: (damage: BlockDamage) => void
}

/** A connected client: the object API, and what its owner may want to know or reach besides. */
export interface ConnectedClient extends CairnClient {
  /** Status, checks and restores. */
  readonly admin: AdminClient
  /**
   * Why a read or a write would fail now, for people; `undefined` if both would work as far as the services and the
   * cluster map tell. Never rejects.
   */
  findTrouble(): Promise<string | undefined>
  /** A snapshot of what has happened since the client was connected. */
  counters(): ClientCounters
  /** The slices of a block map in order, its pages read and verified on the way. */
  slicesOf(map: BlockMap, control?: CallControl): AsyncIterable<BlockSlice>
}

/**
 * Opens a session and gets the cluster map. Rejects as `ConnectionLost` if no metadata service answers, as
 * `FormatTooNew` if the cluster demands a higher feature level than the identity has.
 */
export async function connectCairn(options: ConnectOptions): Promise<ConnectedClient> {
  const { network, metadata: addresses, identity, clock, random } = options
  const counters = createCounters()
  const onCommitRepeated = (): void => {
    counters.repeatedCommits++
  }
  const metadata = new MetadataCaller({ network, addresses, identity, clock, random, onCommitRepeated })
  const view = new ClusterView({ metadata, network, identity, clock })
  const { role = identity.role } = options
  const { featureLevel } = identity
  const reports = new ReadReports(metadata, clock)
  const onDamage = (damage: BlockDamage): void => {
    reports.add(damage.pool, damage.block)
    options.onDamage?.(damage)
  }
  const sessions = new SessionKeeper({ metadata, clock, role, name: identity.name, featureLevel })
  const hedges = { tokens: HEDGE_TOKENS_MAX }
  const known = new KnownBlocks()
  const shared = { clock, random, view, counters, hedges, known, onDamage, metadata, sessions }
  const { lanes } = options
  const late = new LateWrites(clock)
  const speeds = new SpeedReports({ metadata, view, clock, random, tells: identity.role === 'gateway' })
  const keptFrames = Math.floor((options.recentBytes ?? 0) / FRAME_BYTES)
  const framesMax = FRAMES_MAX + keptFrames
  const recent = keptFrames === 0 ? undefined : new RecentBlocks(framesMax)
  const parts = {
    ...shared,
    late,
    speeds,
    frames: new FramePool(recent, framesMax),
    ...(recent === undefined ? {} : { recent }),
    ...(lanes === undefined ? {} : { lanes }),
  }
  try {
    await view.refresh()
    sessions.release(await sessions.acquire())
    speeds.start()
  } catch (error) {
    await closeParts(parts)
    throw error
  }
  return createClient(parts)
}

interface ConnectedParts extends ClientParts {
  readonly speeds: SpeedReports
}

function createClient(parts: ConnectedParts): ConnectedClient {
  const buckets = new FactCache<BucketInfo>(parts.clock)
  const uploads = new FactCache<UploadFacts>(parts.clock)
  return {
    ...createBucketMethods(parts, buckets),
    ...createObjectMethods(parts, buckets),
    ...createListingMethods(parts),
    ...createUploadMethods(parts, uploads),
    admin: createAdminClient(parts.metadata),
    findTrouble: () => findTrouble(parts),
    counters: () => ({ ...parts.counters }),
    slicesOf: (map, control) =>
      slicesInRange(parts, map, { offset: 0, length: coveredBytes(map) }, control?.signal),
    close: () => closeParts(parts),
  }
}

async function closeParts({ sessions, view, metadata, lanes, late, speeds }: ConnectedParts): Promise<void> {
  speeds.close()
  late.close()
  await sessions.close()
  await view.close()
  await metadata.close()
  await lanes?.close()
}
