/**
 * `cairn node|drive list|drain|undrain|remove`, `cairn drive replace|add` and `cairn rebalance`: who holds the data.
 * A command says what is wanted, and the cluster goes on by itself; `--wait` shows how far it is.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterStatus, DriveSummary, MoveReport } from '@cairn/protocol'
import { type Config, ConfigError } from '../config.js'
import type { NodeSummary } from '../http/admin-paths.js'
import { askAdmin } from '../http/ask-admin.js'
import { createProgress } from '../progress.js'
import { describeGroups, formatBytes } from './status.js'
import { assertStoreWrites } from './store-trouble.js'

/** Pause between two looks at what moves, longer than that between two of the cluster's. */
const POLL_MS = 1_000
/** Looks at rest in a row that end a wait: the next step may be about to begin. */
const QUIET_LOOKS = 3

/** Of a service that does not say: not at rest. */
const MOVES_UNKNOWN: MoveReport = {
  rebalancing: true,
  positionsMoving: 0,
  positionsLeft: 0,
  positionsMoved: 0,
  movingMs: 0,
  straysDeleted: 0,
}

export interface MoveOptions {
  readonly json: boolean
  /** Also if copies then share a failure domain. */
  readonly force: boolean
  /** Until nothing moves any more. */
  readonly wait: boolean
  readonly waitSeconds: number
}

export interface MoveResult {
  readonly text: string
  /** False if a wait has ended before everything was where it belongs. */
  readonly done: boolean
}

/**
 * Rejects with `ConfigError` for another command, with `AdminError`, and with `MetadataError` if it waits and nothing
 * moves any more, since the metadata store takes no writes.
 */
export async function node(
  config: Config,
  words: readonly string[],
  options: MoveOptions,
): Promise<MoveResult> {
  const [action = 'list', name, ...rest] = words
  if (action === 'list' && words.length <= 1) {
    const found = await askAdmin<{ nodes: NodeSummary[] }>(config, 'GET', 'nodes')
    return shown(options, found.nodes, found.nodes.flatMap(describeNode))
  }
  if (!['drain', 'undrain', 'remove'].includes(action) || name === undefined || rest.length > 0) {
    throw new ConfigError(['cairn node list | drain NODE | undrain NODE | remove NODE'])
  }
  const path = `nodes?action=${action}&node=${encodeURIComponent(name)}&force=${options.force}`
  return carryOut(
    config,
    { path, empties: action === 'drain' ? ({ server }) => server === name : NONE },
    options,
  )
}

/** As `node`. */
export async function drive(
  config: Config,
  words: readonly string[],
  options: MoveOptions,
): Promise<MoveResult> {
  const [action = 'list', id, by, ...rest] = words
  if (action === 'list' && words.length <= 1) {
    const found = await askAdmin<{ drives: DriveSummary[] }>(config, 'GET', 'drives')
    return shown(options, found.drives, found.drives.map(describeDriveLine))
  }
  if (action === 'add') {
    throw new ConfigError([
      'put the new folder into CAIRN_DRIVES of its chunk server and restart that server: the drive joins by itself',
      'once it has been up for CAIRN_SUSPECT_SECONDS, or at once by cairn rebalance',
    ])
  }
  const isReplace = action === 'replace' && by !== undefined
  const isPlain = ['drain', 'undrain', 'remove'].includes(action) && by === undefined
  if (!(isReplace || isPlain) || id === undefined || rest.length > 0) {
    throw new ConfigError([
      'cairn drive list | drain DRIVE | undrain DRIVE | remove DRIVE | replace DRIVE BY | add',
    ])
  }
  const taker = by === undefined ? '' : `&by=${encodeURIComponent(by)}`
  const query = `action=${action}&drive=${encodeURIComponent(id)}${taker}&force=${options.force}`
  const isEmptied = action === 'drain' || action === 'replace'
  const empties = isEmptied ? (each: DriveSummary) => each.id === id : NONE
  return carryOut(config, { path: `drives?${query}`, empties }, options)
}

/** As `node`. */
export async function rebalance(
  config: Config,
  words: readonly string[],
  options: MoveOptions,
): Promise<MoveResult> {
  if (words.length > 0) throw new ConfigError(['cairn rebalance [--wait] [--json]'])
  return carryOut(config, { path: 'rebalance', empties: NONE }, options)
}

type RestReport = Pick<ClusterStatus, 'safeMode' | 'coordinator' | 'drives' | 'moves'>

/**
 * True if everything is where it belongs, or as near as it can get. In safe mode, without a coordinator, and before it
 * has planned for a drive that is to be emptied, nothing moves because nothing has begun.
 */
export function isAtRest({ safeMode, coordinator, drives, moves = MOVES_UNKNOWN }: RestReport): boolean {
  const isLeft = drives.some(({ drain, positions = 0 }) => drain === true && positions > 0)
  const isPlanned = !safeMode && coordinator !== undefined && !isLeft
  return isPlanned && !moves.rebalancing && moves.positionsLeft === 0 && moves.stuck === undefined
}

/** What a command asks of the cluster. */
interface Wish {
  readonly path: string
  /** Drives that hold nothing once it has come true. */
  readonly empties: (drive: DriveSummary) => boolean
}

const NONE = (): boolean => false

async function carryOut(config: Config, wish: Wish, options: MoveOptions): Promise<MoveResult> {
  const answer = await askAdmin<object>(config, 'POST', wish.path)
  if (!options.wait) return shown(options, answer, ['accepted: see cairn status'])
  const { moves, done } = await waitForRest(config, wish, options.waitSeconds)
  const moved = `${moves.positionsMoved} groups moved`
  return { ...shown(options, moves, [done ? `done: ${moved}` : `not done: ${moved}`]), done }
}

async function waitForRest(
  config: Config,
  { empties }: Wish,
  waitSeconds: number,
): Promise<{ moves: MoveReport; done: boolean }> {
  const progress = createProgress(process.stderr)
  const until = performance.now() + waitSeconds * 1000
  try {
    for (let quiet = 0; ; ) {
      const status = await askAdmin<ClusterStatus>(config, 'GET', 'status')
      assertStoreWrites(status)
      const { moves = MOVES_UNKNOWN } = status
      quiet = isAtRest(status) ? quiet + 1 : 0
      // At rest and not empty: somebody has taken the wish back.
      const isEmpty = status.drives.filter(empties).every(({ positions = 0 }) => positions === 0)
      if (quiet >= QUIET_LOOKS) return { moves, done: isEmpty }
      if (performance.now() > until || moves.stuck !== undefined) return { moves, done: false }
      const total = moves.positionsMoved + moves.positionsLeft
      if (total > 0) progress.show('moving groups', moves.positionsMoved, total)
      await sleep(POLL_MS)
    }
  } finally {
    progress.end()
  }
}

function shown({ json }: MoveOptions, found: object, lines: readonly string[]): MoveResult {
  return { text: json ? JSON.stringify(found, null, 2) : lines.join('\n'), done: true }
}

function describeNode({ id, address, zone, rack, host, drives }: NodeSummary): string[] {
  const place = [zone, rack, host].filter((name) => name !== '').join('/')
  return [`node ${id}  ${address}  ${place}`, ...drives.map((each) => `  ${describeDriveLine(each)}`)]
}

function describeDriveLine(summary: DriveSummary): string {
  const { id, server, state, path, report } = summary
  const used = report === undefined ? 'not heard' : `${formatBytes(report.liveBytes)} stored`
  return `drive ${id}  ${state.padEnd(8)} ${server}  ${path}  ${used}${describeGroups(summary)}`
}
