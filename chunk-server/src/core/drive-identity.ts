/**
 * Who a drive is: `drive.json` in its folder. A folder without it is a *new* drive, so that an unmounted disk never
 * poses as a full one. It is the first file ever written to a drive: a folder that holds segments but no
 * `drive.json` has lost it, and is refused rather than made anew.
 */
import {
  CairnError,
  type Clock,
  type DriveId,
  encodeCheckedJson,
  formatId,
  isCheckGood,
  type Random,
} from '@cairn/protocol'
import type { Disk } from '../ports.js'

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
}

/** Reads the identity, or writes one on a new drive. `DriveFailed` if it is damaged, lost or of another cluster. */
export async function openDriveIdentity(disk: Disk, options: OpenIdentityOptions): Promise<DriveIdentity> {
  const found = await findDriveIdentity(disk)
  if (found === undefined) return makeIdentity(disk, options)
  if (found.clusterId !== options.clusterId) {
    throw refused(
      'foreign',
      `drive ${found.driveId} belongs to cluster ${found.clusterId}, this is ${options.clusterId}`,
    )
  }
  return found
}

/** Reads the identity; `undefined` if there is none. `DriveFailed` if damaged, `FormatTooNew` if newer than ours. */
export async function findDriveIdentity(disk: Disk): Promise<DriveIdentity | undefined> {
  const content = await disk.readSmall(DRIVE_FILE)
  return content === undefined ? undefined : parseIdentity(content)
}

function parseIdentity(content: Uint8Array): DriveIdentity {
  const fields = parseJson(content)
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

function parseJson(content: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(content).toString('utf8'))
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch (error) {
    throw damaged(error)
  }
  throw damaged()
}

function damaged(cause?: unknown): CairnError {
  return refused(
    'damaged',
    `${DRIVE_FILE} is damaged; restore it, or empty the folder to start a new drive`,
    cause,
  )
}

function refused(reason: string, message: string, cause?: unknown): CairnError {
  return new CairnError('DriveFailed', message, { details: { reason }, cause })
}

async function makeIdentity(disk: Disk, options: OpenIdentityOptions): Promise<DriveIdentity> {
  if (options.clusterId === '') throw new CairnError('InvalidArgument', 'a new drive needs a cluster id')
  const names = await disk.list('')
  if (names.includes('segments')) {
    throw refused('lost', `the folder holds segments but no ${DRIVE_FILE}; restore it, or empty the folder`)
  }
  const identity = {
    clusterId: options.clusterId,
    driveId: formatId(options.random.bytes(DRIVE_ID_BYTES)),
    createdAt: new Date(options.clock.wallMicros() / 1000).toISOString(),
  }
  await disk.replace(DRIVE_FILE, Buffer.from(encodeCheckedJson({ format: FORMAT, ...identity })))
  return identity
}
