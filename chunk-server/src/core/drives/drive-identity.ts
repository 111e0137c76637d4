/**
 * Who a drive is: `drive.json` in its folder. A folder without it is a *new* drive, so that an unmounted disk never
 * poses as a full one. It is the first file ever written to a drive: a folder that holds segments but no
 * `drive.json` has lost it. It is then made anew from the headers of the segments, which all name the drive; if they
 * do not say the same, the folder is refused. They do not tell the cluster: a drive that the cluster does not know is
 * refused too, or the blocks of another one would be taken for orphans.
 */
import {
  CairnError,
  type Clock,
  type DriveId,
  encodeCheckedJson,
  formatId,
  hasCode,
  isCheckGood,
  type Random,
} from '@cairn/protocol'
import type { Disk } from '../../ports.js'
import {
  decodeSegmentHeader,
  parseSegmentName,
  SEGMENT_FOLDER,
  SEGMENT_HEADER_BYTES,
  segmentPath,
} from '../segments/segment-header.js'
import { parseFields } from './json-fields.js'

/** Name of the identity file. */
export const DRIVE_FILE = 'drive.json'
const FORMAT = 1
const DRIVE_ID_BYTES = 8
const DRIVE_ID = /^[0-9a-f]{16}$/

/** What `drive.json` says. */
export interface DriveIdentity {
  readonly clusterId: string
  readonly driveId: DriveId
  /** ISO 8601, for people. */
  readonly createdAt: string
}

export interface OpenIdentityOptions {
  readonly clusterId: string
  readonly clock: Clock
  readonly random: Random
  /** Whether the cluster's map names a drive: asked before a lost `drive.json` is made anew. Any is known if absent. */
  readonly isKnown?: (drive: DriveId) => Promise<boolean>
}

/** Reads the identity, or writes one on a new drive. `DriveFailed` if it is damaged, lost or of another cluster. */
export async function openDriveIdentity(disk: Disk, options: OpenIdentityOptions): Promise<DriveIdentity> {
  const found = await findOrRebuild(disk, options)
  if (found === undefined) return makeIdentity(disk, options)
  if (found.clusterId !== options.clusterId) {
    throw refused(
      'foreign',
      `drive ${found.driveId} belongs to cluster ${found.clusterId}, this is ${options.clusterId}`,
    )
  }
  return found
}

async function findOrRebuild(disk: Disk, options: OpenIdentityOptions): Promise<DriveIdentity | undefined> {
  let damage: unknown
  try {
    const found = await findDriveIdentity(disk)
    if (found !== undefined) return found
  } catch (error) {
    if (!isDamagedIdentity(error)) throw error
    damage = error
  }
  const driveId = options.clusterId === '' ? undefined : await driveOfSegments(disk)
  if (driveId !== undefined) {
    if ((await options.isKnown?.(driveId)) === false) throw unknown(driveId, damage)
    return writeIdentity(disk, driveId, options)
  }
  if (damage === undefined) return undefined
  throw damage
}

/** True for the error that a damaged `drive.json` raises. */
export function isDamagedIdentity(error: unknown): boolean {
  return hasCode(error, 'DriveFailed') && error.details.reason === 'damaged'
}

/** The one drive that the headers of all segments name, as far as they can be read. */
async function driveOfSegments(disk: Disk): Promise<DriveId | undefined> {
  if (!(await disk.list('')).includes(SEGMENT_FOLDER)) return undefined
  const found = new Set<DriveId>()
  for (const name of await disk.list(SEGMENT_FOLDER)) {
    const sequence = parseSegmentName(name)
    const header = sequence === undefined ? undefined : await headerOf(disk, segmentPath(sequence))
    if (header !== undefined && header !== 'newer') found.add(header.driveId)
  }
  const [driveId] = found
  return found.size === 1 && driveId !== undefined && DRIVE_ID.test(driveId) ? driveId : undefined
}

async function headerOf(disk: Disk, path: string): Promise<ReturnType<typeof decodeSegmentHeader>> {
  const file = await disk.open(path, 'read')
  if (file === undefined) return undefined
  try {
    const page = Buffer.alloc(SEGMENT_HEADER_BYTES)
    return decodeSegmentHeader(page.subarray(0, await file.read(page, 0)))
  } finally {
    await file.close()
  }
}

/** Reads the identity; `undefined` if there is none. `DriveFailed` if damaged, `FormatTooNew` if newer than ours. */
export async function findDriveIdentity(disk: Disk): Promise<DriveIdentity | undefined> {
  const content = await disk.readSmall(DRIVE_FILE)
  return content === undefined ? undefined : parseIdentity(content)
}

function parseIdentity(content: Uint8Array): DriveIdentity {
  const fields = parseFields(content, damaged)
  // Before the format: a flipped bit in its number is damage of one drive, not a newer version, which ends the start.
  if (!isCheckGood(fields)) throw damaged()
  const { format, clusterId, driveId, createdAt } = fields
  if (typeof format === 'number' && format > FORMAT) {
    throw new CairnError('FormatTooNew', `${DRIVE_FILE} has format ${format}; this version knows ${FORMAT}`)
  }
  const whole = format === FORMAT && typeof clusterId === 'string' && typeof createdAt === 'string'
  if (!whole || typeof driveId !== 'string' || !DRIVE_ID.test(driveId) || clusterId === '') throw damaged()
  return { clusterId, driveId, createdAt }
}

function damaged(cause?: unknown): CairnError {
  return refused(
    'damaged',
    `${DRIVE_FILE} is damaged; restore it, or empty the folder to start a new drive`,
    cause,
  )
}

function unknown(driveId: DriveId, cause: unknown): CairnError {
  return refused(
    'unknown',
    `the folder holds segments of drive ${driveId}, which this cluster does not know, and ${DRIVE_FILE} is lost or ` +
      'damaged; restore it, or empty the folder to start a new drive',
    cause,
  )
}

function refused(reason: string, message: string, cause?: unknown): CairnError {
  return new CairnError('DriveFailed', message, { details: { reason }, cause })
}

async function makeIdentity(disk: Disk, options: OpenIdentityOptions): Promise<DriveIdentity> {
  if (options.clusterId === '') throw new CairnError('InvalidArgument', 'a new drive needs a cluster id')
  const names = await disk.list('')
  // A folder without any segment is what is left of one that was emptied: it has nothing to lose.
  if (names.includes(SEGMENT_FOLDER) && (await disk.list(SEGMENT_FOLDER)).length > 0) {
    throw refused('lost', `the folder holds segments but no ${DRIVE_FILE}; restore it, or empty the folder`)
  }
  return writeIdentity(disk, formatId(options.random.bytes(DRIVE_ID_BYTES)), options)
}

/** Writes who the drive is, over whatever was there. */
export async function writeIdentity(
  disk: Disk,
  driveId: DriveId,
  options: Pick<OpenIdentityOptions, 'clusterId' | 'clock'>,
): Promise<DriveIdentity> {
  const createdAt = new Date(options.clock.wallMicros() / 1000).toISOString()
  const identity = { clusterId: options.clusterId, driveId, createdAt }
  await disk.replace(DRIVE_FILE, Buffer.from(encodeCheckedJson({ format: FORMAT, ...identity })))
  return identity
}
