/**
 * The data folder: who may open it, and the small files at its root.
 *
 *   root.json      access key and secret key of the root account (0600), unless given by variable
 *   cluster.json   cluster id and cluster secret, made at the first start of all roles in one process (0600);
 *                  made anew from what the drives say when it is lost or damaged
 *   server.json    id of a chunk server that runs apart; server-lock.sqlite is locked while it runs
 *   run/           one pid file per process
 *   metadata/      the SQLite store
 *   drives/<n>/    one folder per local drive
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { CairnError, encodeCheckedJson, hasCode, isCheckGood, type Random } from '@cairn/protocol'
import { ConfigError } from './config.js'

/** Format of the data folder as a whole; a folder of a newer format is refused. */
const DATA_FOLDER_FORMAT = 1

/** Locked by a chunk server that runs apart, whose id lies beside it. Other roles may share the data folder. */
export const SERVER_LOCK_FILE = 'server-lock.sqlite'

const ROOT_FILE = 'root.json'
const ACCESS_KEY_BYTES = 10
const SECRET_KEY_BYTES = 30
const CLUSTER_SECRET_BYTES = 32
const CLUSTER_ID_BYTES = 8

/** The content of `root.json`. */
export interface RootCredentials {
  readonly accessKey: string
  readonly secretKey: string
}

/** The content of `cluster.json`. */
export interface ClusterFile {
  readonly format: number
  readonly clusterId: string
  readonly clusterSecret: string
}

/**
 * Writes a small file so that a crash leaves the old or the new one, whole. `DriveFull` or `DriveFailed` if it cannot be
 * written.
 */
export function replaceFile(path: string, content: string): void {
  try {
    writeSynced(`${path}.new`, content)
    renameSync(`${path}.new`, path)
    syncFolder(dirname(path))
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code === 'ENOSPC' ? 'DriveFull' : 'DriveFailed'
    throw new CairnError(code, `${path} cannot be written: ${(cause as Error).message}`, { cause })
  }
}

function writeSynced(path: string, content: string): void {
  const file = openSync(path, 'w', 0o600)
  try {
    writeSync(file, content)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

function readJson(path: string): Record<string, unknown> | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch (error) {
    throw new CairnError('InvalidArgument', `${path} is damaged: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

function textField(path: string, content: Record<string, unknown>, name: string): string {
  const value = content[name]
  if (typeof value !== 'string' || value === '')
    throw new CairnError('InvalidArgument', `${path}: "${name}" is missing`)
  return value
}

/** Makes the folder if it is not there, durably: acknowledged data comes to lie in it. */
export function makeFolder(path: string): void {
  const folder = resolve(path)
  const first = mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = folder; made.length >= first.length; made = dirname(made)) syncFolder(dirname(made))
}

/** The root account's keys: from the file, or made now and written there. `ConfigError` if it is damaged. */
export function loadRootCredentials(dataDir: string, random: Random): RootCredentials {
  const found = findRootCredentials(dataDir)
  if (found !== undefined) return found
  const made: RootCredentials = {
    accessKey: `CAIRN${Buffer.from(random.bytes(ACCESS_KEY_BYTES)).toString('hex').toUpperCase()}`,
    secretKey: Buffer.from(random.bytes(SECRET_KEY_BYTES)).toString('base64url'),
  }
  replaceFile(join(dataDir, ROOT_FILE), `${JSON.stringify(made, null, 2)}\n`)
  return made
}

/** The root account's keys that a server has made; `undefined` if none has here. `ConfigError` if they are damaged. */
export function findRootCredentials(dataDir: string): RootCredentials | undefined {
  const path = join(dataDir, ROOT_FILE)
  try {
    const found = readJson(path)
    if (found === undefined) return undefined
    return { accessKey: textField(path, found, 'accessKey'), secretKey: textField(path, found, 'secretKey') }
  } catch (error) {
    if (!hasCode(error, 'InvalidArgument')) throw error
    throw new ConfigError([`${error.message}; restore it, or delete ${path} to get new keys`])
  }
}

/**
 * Cluster id and secret of an all-in-one folder: from the file, or made now and written there. If the file is lost or
 * damaged, the id is what the drives have, so that they and the metadata stay one cluster; the secret is a new one.
 */
export function loadClusterFile(
  dataDir: string,
  random: Random,
  drives: readonly string[] = [],
): ClusterFile {
  const path = join(dataDir, 'cluster.json')
  try {
    const found = readJson(path)
    if (found !== undefined) return parseCluster(path, found)
  } catch (error) {
    if (!hasCode(error, 'InvalidArgument')) throw error
    if (clusterOf(drives) === undefined) {
      const help = `no drive tells its cluster: restore it, or delete ${path} if nothing is stored here`
      throw new ConfigError([`${error.message}; ${help}`])
    }
    renameSync(path, `${path}.damaged`)
  }
  const made: ClusterFile = {
    format: DATA_FOLDER_FORMAT,
    clusterId: clusterOf(drives) ?? Buffer.from(random.bytes(CLUSTER_ID_BYTES)).toString('hex'),
    clusterSecret: Buffer.from(random.bytes(CLUSTER_SECRET_BYTES)).toString('hex'),
  }
  replaceFile(path, encodeCheckedJson({ ...made }))
  return made
}

function parseCluster(path: string, found: Record<string, unknown>): ClusterFile {
  if (!isCheckGood(found)) throw new CairnError('InvalidArgument', `${path} is damaged: its check is wrong`)
  const { format } = found
  if (typeof format !== 'number') throw new CairnError('InvalidArgument', `${path}: "format" is missing`)
  if (format > DATA_FOLDER_FORMAT) {
    throw new CairnError(
      'FormatTooNew',
      `${dirname(path)} has format ${format}; this version knows ${DATA_FOLDER_FORMAT}`,
    )
  }
  return {
    format,
    clusterId: textField(path, found, 'clusterId'),
    clusterSecret: textField(path, found, 'clusterSecret'),
  }
}

/** The cluster of most of the drives that can tell theirs; `undefined` if none can. */
export function clusterOf(drives: readonly string[]): string | undefined {
  const votes = new Map<string, number>()
  for (const drive of drives) {
    const id = clusterOfDrive(join(drive, 'drive.json'))
    if (id !== undefined) votes.set(id, (votes.get(id) ?? 0) + 1)
  }
  return [...votes].sort(([, a], [, b]) => b - a)[0]?.[0]
}

function clusterOfDrive(path: string): string | undefined {
  try {
    const found = readJson(path)
    return found !== undefined && isCheckGood(found) ? textField(path, found, 'clusterId') : undefined
  } catch (error) {
    if (hasCode(error, 'InvalidArgument')) return undefined
    throw error
  }
}

/** The id of a chunk server that runs apart: stays with its data folder. */
export function loadServerId(dataDir: string, random: Random): string {
  const path = join(dataDir, 'server.json')
  const found = readJson(path)
  if (found !== undefined) return textField(path, found, 'id')
  const id = `chunk-${Buffer.from(random.bytes(CLUSTER_ID_BYTES)).toString('hex')}`
  replaceFile(path, `${JSON.stringify({ id }, null, 2)}\n`)
  return id
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/**
 * Writes `run/<role>-<n>.pid` with the first free n; returns a function that removes it. A full disk is no reason not
 * to start: reads and deletes go on there, and without a file nobody finds the process by it.
 */
export function writePidFile(dataDir: string, role: string): () => void {
  const folder = join(dataDir, 'run')
  makeFolder(folder)
  const taken = new Set(readdirSync(folder))
  let number = 1
  while (taken.has(`${role}-${number}.pid`) && isOther(join(folder, `${role}-${number}.pid`))) number++
  const path = join(folder, `${role}-${number}.pid`)
  try {
    replaceFile(path, `${process.pid}\n`)
  } catch (error) {
    if (!hasCode(error, 'DriveFull')) throw error
    rmSync(`${path}.new`, { force: true })
  }
  return () => rmSync(path, { force: true })
}

function isOther(path: string): boolean {
  const pid = Number(readFileSync(path, 'utf8'))
  return Number.isInteger(pid) && pid > 0 && pid !== process.pid && isAlive(pid)
}
