/** Where the scrub of a drive stands, kept over restarts in `scrub.json`. Losing it costs one more pass. */
import { encodeCheckedJson, isCheckGood } from '@cairn/protocol'
import type { Disk } from '../../ports.js'
import type { ScrubPosition } from './segment-scrubber.js'

const SCRUB_FILE = 'scrub.json'
const FORMAT = 1
/** Suspects kept; a drive with more of them has other worries. */
const SUSPECTS_MAX = 1000

/** What is kept. Times are wall clock, ms since 1970. */
export interface ScrubState {
  readonly position: ScrubPosition
  /** When the pass under way began; 0 if none did. */
  readonly startedAtMs: number
  readonly passDoneBytes: number
  readonly passesDone: number
  readonly lastPassEndedMs: number
}

const FRESH_SCRUB: ScrubState = {
  position: { segment: 0, suspects: [] },
  startedAtMs: 0,
  passDoneBytes: 0,
  passesDone: 0,
  lastPassEndedMs: 0,
}

/** The state as it was last kept; a fresh one if there is none, or none that can be read. */
export async function loadScrubState(disk: Disk): Promise<ScrubState> {
  const content = await disk.readSmall(SCRUB_FILE)
  return content === undefined ? FRESH_SCRUB : (parse(content) ?? FRESH_SCRUB)
}

export async function saveScrubState(disk: Disk, state: ScrubState): Promise<void> {
  const { position, ...rest } = state
  const { segment, suspects } = position
  const fields = { format: FORMAT, segment, suspects: suspects.slice(0, SUSPECTS_MAX), ...rest }
  await disk.replace(SCRUB_FILE, Buffer.from(encodeCheckedJson(fields)))
}

function parse(content: Uint8Array): ScrubState | undefined {
  let fields: Record<string, unknown>
  try {
    fields = Object(JSON.parse(Buffer.from(content).toString('utf8'))) as Record<string, unknown>
  } catch {
    return undefined
  }
  const { format, segment, suspects, startedAtMs, passDoneBytes, passesDone, lastPassEndedMs } = fields
  const numbers = [segment, startedAtMs, passDoneBytes, passesDone, lastPassEndedMs]
  if (
    !isCheckGood(fields) ||
    format !== FORMAT ||
    !numbers.every(isCount) ||
    !Array.isArray(suspects) ||
    !suspects.every(isCount)
  ) {
    return undefined
  }
  return {
    position: { segment: Number(segment), suspects },
    startedAtMs: Number(startedAtMs),
    passDoneBytes: Number(passDoneBytes),
    passesDone: Number(passesDone),
    lastPassEndedMs: Number(lastPassEndedMs),
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
