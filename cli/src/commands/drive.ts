/**
 * `cairn node|drive list|add|drain|undrain|replace|remove` and `cairn rebalance`: who holds the data.
 * A command says what is wanted, and the cluster goes on by itself; `--wait` shows how far it is.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterStatus, DriveSummary, MoveReport } from '@cairn/protocol'
import { type Config, ConfigError } from '../config.js'
import type { NodeSummary } from '../http/admin-paths.js'
import { askAdmin } from '../http/ask-admin.js'
import { createProgress, type Progress } from '../progress.js'
import { describeGroups, formatBytes } from './status.js'
import { assertStoreWrites } from './store-trouble.js'

/** Pause between two looks at what moves. */
const POLL_MS = 1_000
/**
 * Looks in a row that end a wait, at rest or stuck: together longer than the two seconds between two of the cluster's.
 * What it last saw may be older than the wish, and the next step about to begin.
 */
const LOOKS_TO_END = 4

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
  const [action = 'list'] = words
  if (action === 'list' && words.length <= 1) {
    const found = await askAdmin<{ nodes: NodeSummary[] }>(config, 'GET', 'nodes')
    return shown(options, found.nodes, found.nodes.flatMap(describeNode))
  }
  return carryOut(config, readWish('node', words, options), options)
}

/** As `node`. */
export async function drive(
  config: Config,
  words: readonly string[],
  options: MoveOptions,
): Promise<MoveResult> {
  const [action = 'list'] = words
  if (action === 'list' && words.length <= 1) {
    const found = await askAdmin<{ drives: DriveSummary[] }>(config, 'GET', 'drives')
    return shown(options, found.drives, found.drives.map(describeDriveLine))
  }
  return carryOut(config, readWish('drive', words, options), options)
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

/** Whether the action takes a second name; one that is not here is none. */
const TAKES_ANOTHER: ReadonlyMap<string, boolean> = new Map([
  ['add', false],
  ['drain', false],
  ['undrain', false],
  ['replace', true],
  ['remove', false],
])

/** `ConfigError` for words that are no wish. */
function readWish(kind: 'node' | 'drive', words: readonly string[], { force }: MoveOptions): Wish {
  const [action = '', name, by, ...rest] = words
  const isComplete = TAKES_ANOTHER.get(action) === (by !== undefined)
  if (name === undefined || !isComplete || rest.length > 0) throw new ConfigError(usageOf(kind))
  const taker = by === undefined ? '' : `&by=${encodeURIComponent(by)}`
  const empties = ({ id, server }: DriveSummary): boolean => name === (kind === 'node' ? server : id)
  return {
    path: `${kind}s?action=${action}&${kind}=${encodeURIComponent(name)}${taker}&force=${force}`,
    empties: action === 'drain' || action === 'replace' ? empties : NONE,
  }
}

function usageOf(kind: 'node' | 'drive'): string[] {
  const name = kind.toUpperCase()
  const plain = ['add', 'drain', 'undrain', 'remove'].map((action) => `${action} ${name}`)
  return [
    `cairn ${kind} list | ${plain.join(' | ')} | replace ${name} BY`,
    'a new folder joins when it is put into CAIRN_DRIVES of its chunk server, and that is started again;',
    'a new server joins when it is started',
  ]
}

async function carryOut(config: Config, wish: Wish, options: MoveOptions): Promise<MoveResult> {
  const answer = await askAdmin<object>(config, 'POST', wish.path)
  if (!options.wait) return shown(options, answer, ['accepted: see cairn status'])
  const { moves, done } = await waitForRest(config, wish, options.waitSeconds)
  const moved = `${moves.positionsMoved} groups moved`
  const reason = moves.stuck === undefined ? '' : `; nothing moves: ${moves.stuck}`
  return { ...shown(options, moves, [done ? `done: ${moved}` : `not done: ${moved}${reason}`]), done }
}

async function waitForRest(
  config: Config,
  { empties }: Wish,
  waitSeconds: number,
): Promise<{ moves: MoveReport; done: boolean }> {
  const progress = createProgress(process.stderr)
  const until = performance.now() + waitSeconds * 1000
  try {
    for (let quiet = 0, stuck = 0; ; ) {
      const status = await askAdmin<ClusterStatus>(config, 'GET', 'status')
      assertStoreWrites(status)
      const { moves = MOVES_UNKNOWN } = status
      quiet = isAtRest(status) ? quiet + 1 : 0
      stuck = moves.stuck === undefined ? 0 : stuck + 1
      // At rest and not empty: somebody has taken the wish back.
      const isEmpty = status.drives.filter(empties).every(({ positions = 0 }) => positions === 0)
      if (quiet >= LOOKS_TO_END) return { moves, done: isEmpty }
      if (performance.now() > until || stuck >= LOOKS_TO_END) return { moves, done: false }
      showMoves(progress, moves)
      await sleep(POLL_MS)
    }
  } finally {
    progress.end()
  }
}

function showMoves(progress: Progress, { positionsMoved, positionsLeft }: MoveReport): void {
  const total = positionsMoved + positionsLeft
  if (total > 0) progress.show('moving groups', positionsMoved, total)
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
