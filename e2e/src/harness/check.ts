/** `cairn status` and `cairn fsck` against a running server, as an operator calls them. */
import { type RunResult, run } from './run.js'
import { CAIRN, type Server } from './server.js'

/** What `cairn fsck --json` prints. */
export interface FsckReport {
  readonly blocks: number
  readonly underReplicated: number
  readonly corrupt: number
  readonly orphaned: number
  readonly dangling: number
  readonly pending: number
  readonly findings: readonly { readonly kind: string; readonly message: string }[]
}

export interface FsckRun {
  readonly status: number
  readonly report: FsckReport
  readonly seconds: number
}

/** One drive of `cairn status --json`. */
export interface DriveStatus {
  readonly id: string
  readonly state: string
  readonly server: string
  readonly path: string
  /** Groups that it holds, gets and gives away. */
  readonly positions: number
  readonly joining: number
  readonly leaving: number
  readonly report?: {
    readonly blockCount: number
    readonly damagedBlocks?: number
    readonly scrub?: { readonly blocksScrubbed: number; readonly passesDone: number }
  }
}

/** What `cairn status --json` prints. */
export interface StatusReport {
  /** Name of the metadata service that coordinates. */
  readonly coordinator?: string
  readonly safeMode: boolean
  readonly drives: readonly DriveStatus[]
  readonly repair: {
    readonly underReplicated: number
    readonly unavailable: number
    readonly dirtyGroups: number
    readonly blocksRepaired: number
    readonly bytesRepaired: number
    readonly comparing: boolean
  }
  readonly moves: {
    readonly rebalancing: boolean
    readonly positionsMoving: number
    readonly positionsLeft: number
    readonly positionsMoved: number
    readonly stuck?: string
  }
}

/** Runs the command with the data folder, the host and the port of this server. */
export function cairnOf(server: Server, ...args: readonly string[]): Promise<RunResult> {
  const { hostname, port } = new URL(server.endpoint)
  const env = {
    CAIRN_DATA_DIR: server.dataDir,
    CAIRN_HOST: hostname,
    CAIRN_PORT: port,
    CAIRN_ROOT_ACCESS_KEY: server.accessKey,
    CAIRN_ROOT_SECRET_KEY: server.secretKey,
  }
  return run(process.execPath, [CAIRN, ...args], { env })
}

/** `cairn fsck --json` with further switches. */
export async function fsck(server: Server, ...args: readonly string[]): Promise<FsckRun> {
  const { status, stdout, stderr, seconds } = await cairnOf(server, 'fsck', '--json', ...args)
  if (stdout.length === 0) throw new Error(`fsck exited ${status}: ${stderr}`)
  return { status, seconds, report: JSON.parse(stdout.toString()) as FsckReport }
}

/** `cairn status --json`. */
export async function statusOf(server: Server): Promise<StatusReport> {
  const { status, stdout, stderr } = await cairnOf(server, 'status', '--json')
  if (status !== 0) throw new Error(`status exited ${status}: ${stderr}`)
  return JSON.parse(stdout.toString()) as StatusReport
}

/** The counts of trouble in one line. */
export function describeFsck({ status, report }: FsckRun): string {
  const { findings, ...counts } = report
  const first = findings
    .slice(0, 3)
    .map(({ message }) => message)
    .join('; ')
  return `exit ${status}, ${JSON.stringify(counts)} ${first}`
}

/** Asks again and again until the answer will do; the last answer when the time is over. */
export async function poll<T>(
  ask: () => Promise<T>,
  isDone: (answer: T) => boolean,
  timeoutMs: number,
): Promise<T> {
  const until = performance.now() + timeoutMs
  for (;;) {
    const answer = await ask()
    if (isDone(answer) || performance.now() > until) return answer
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
}
