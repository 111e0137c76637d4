/**
 * Conditional writes that race, with answers lost on the way and the server killed in between. The ledger is a
 * versioned bucket: a second winner would leave a second version.
 */
import { setTimeout as delay } from 'node:timers/promises'
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { type CuttingProxy, openCuttingProxy } from '../harness/cutting-proxy.js'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { type RunningRoles, startRoles } from '../harness/roles.js'
import { connectS3 } from '../harness/s3.js'
import { createSeeded, type Seeded } from '../harness/seeded.js'
import type { Report } from './report.js'

const BUCKET = 'races'
const RACERS = 64
/** One round of each, as `npm test` samples it. */
export const RACES_SAMPLE: RaceOptions = { rounds: 1, racers: 24 }
/** A racer whose answers get lost asks so often; a killed server is back long before. */
const ATTEMPTS_MAX = 2400
const RETRY_MS = 25
const LINKS = 64
const CHAIN_WRITERS = 8

const KINDS = ['put', 'copy', 'complete'] as const
type Kind = (typeof KINDS)[number]

/** What goes wrong meanwhile. */
const TROUBLES = ['nothing', 'lost answers', 'kill -9'] as const
type Trouble = (typeof TROUBLES)[number]

export interface RaceOptions {
  readonly rounds: number
  readonly racers: number
}

interface World {
  readonly report: Report
  readonly seeded: Seeded
  readonly racers: number
  readonly folder: string
  readonly roles: RunningRoles
  readonly proxy: CuttingProxy
  /** Through the proxy, one attempt for each request. */
  readonly racing: S3Client
  trouble: Trouble
}

/** `npm run show -- races`. */
export async function showRaces(
  report: Report,
  { rounds, racers }: RaceOptions = { rounds: 5, racers: RACERS },
): Promise<void> {
  const seeded = createSeeded()
  report.step(`seed ${seeded.seed}`)
  const world = await openWorld(report, seeded, racers)
  try {
    for (const trouble of TROUBLES) {
      world.trouble = trouble
      for (const kind of KINDS) await raceRounds(world, kind, rounds)
      await chain(world)
    }
  } finally {
    await closeWorld(world)
  }
}

async function openWorld(report: Report, seeded: Seeded, racers: number): Promise<World> {
  const folder = await temporaryFolder('races')
  const roles = await startRoles({ folder })
  const state: { trouble: Trouble } = { trouble: 'nothing' }
  const { endpoint, accessKey, secretKey } = roles.server
  const proxy = await openCuttingProxy({
    port: Number(new URL(endpoint).port),
    nameOf: (head) =>
      /x-amz-meta-racer: (\S+)|uploadId=([0-9a-f]+)/i.exec(head)?.slice(1).find(Boolean) ?? '',
    cuts: () => state.trouble !== 'nothing' && seeded.fraction() < 0.5,
  })
  const racing = new S3Client({
    endpoint: proxy.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
    requestHandler: { httpAgent: { maxSockets: racers } },
  })
  const world: World = Object.assign(state, { report, seeded, racers, folder, roles, proxy, racing })
  await onServer(world, async (s3) => {
    await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
    const VersioningConfiguration = { Status: 'Enabled' } as const
    await s3.send(new PutBucketVersioningCommand({ Bucket: BUCKET, VersioningConfiguration }))
    await s3.send(new CreateBucketCommand({ Bucket: `${BUCKET}-sources` }))
  })
  return world
}

async function closeWorld({ racing, proxy, roles, folder }: World): Promise<void> {
  racing.destroy()
  await proxy.close()
  await roles.stop()
  await removeFolder(folder)
}

/** Straight to the server, where nothing gets lost. */
async function onServer<T>({ roles }: World, work: (s3: S3Client) => Promise<T>): Promise<T> {
  const s3 = connectS3(roles.server, { maxAttempts: 5 })
  try {
    return await work(s3)
  } finally {
    s3.destroy()
  }
}

/** One racer: `send` tries once. */
interface Racer {
  /** By which the proxy knows its requests. */
  readonly name: string
  readonly body: string
  readonly send: () => Promise<unknown>
}

async function raceRounds(world: World, kind: Kind, rounds: number): Promise<void> {
  let wrong = 0
  let unseen = 0
  for (let round = 0; round < rounds; round++) {
    const key = `${kind}-${world.trouble}-${round}`
    const racers = await onServer(world, (s3) => line(world, s3, { kind, key }))
    const results = await race(world, racers)
    const problem = await judge(world, key, racers, results)
    if (problem !== undefined) world.report.step(`${key}: ${problem}`)
    wrong += problem === undefined ? 0 : 1
    unseen += results.includes('won') ? 0 : 1
  }
  const name = `${world.racers} racing If-None-Match: * by ${kind}, with ${world.trouble}`
  world.report.holds(name, wrong === 0, `${rounds - wrong} of ${rounds} rounds with exactly one winner`)
  if (unseen > 0) world.report.figure('rounds whose winner never got its answer', unseen)
}

/** All at the start line, with whatever they need beforehand. */
async function line(
  world: World,
  s3: S3Client,
  { kind, key }: { readonly kind: Kind; readonly key: string },
): Promise<Racer[]> {
  const racers: Racer[] = []
  for (let at = 0; at < world.racers; at++) {
    const body = `${key} by ${at}`
    if (kind === 'put') racers.push(putter(world.racing, { key, body, name: String(at) }))
    else if (kind === 'copy') racers.push(await copier(world.racing, s3, { key, body, name: String(at) }))
    else racers.push(await completer(world.racing, s3, { key, body }))
  }
  return racers
}

interface Entry {
  readonly key: string
  readonly body: string
  readonly name: string
}

function putter(racing: S3Client, { key, body, name }: Entry): Racer {
  const input = { Bucket: BUCKET, Key: key, Body: body, IfNoneMatch: '*', Metadata: { racer: name } }
  return { name, body, send: () => racing.send(new PutObjectCommand(input)) }
}

async function copier(racing: S3Client, s3: S3Client, { key, body, name }: Entry): Promise<Racer> {
  const source = { Bucket: `${BUCKET}-sources`, Key: `${key}-${name}` }
  await s3.send(new PutObjectCommand({ ...source, Body: body }))
  const input = {
    Bucket: BUCKET,
    Key: key,
    CopySource: `${source.Bucket}/${encodeURIComponent(source.Key)}`,
    IfNoneMatch: '*',
    MetadataDirective: 'REPLACE',
    Metadata: { racer: name },
  } as const
  return { name, body, send: () => racing.send(new CopyObjectCommand(input)) }
}

async function completer(racing: S3Client, s3: S3Client, entry: Omit<Entry, 'name'>): Promise<Racer> {
  const at = { Bucket: BUCKET, Key: entry.key }
  const { UploadId = '' } = await s3.send(new CreateMultipartUploadCommand(at))
  const upload = { ...at, UploadId }
  const part = await s3.send(new UploadPartCommand({ ...upload, PartNumber: 1, Body: entry.body }))
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag: part.ETag }] }
  const input = { ...upload, MultipartUpload, IfNoneMatch: '*' }
  return {
    name: UploadId,
    body: entry.body,
    send: () => racing.send(new CompleteMultipartUploadCommand(input)),
  }
}

type Result = 'won' | 'lost' | 'unknown'

async function race(world: World, racers: readonly Racer[]): Promise<Result[]> {
  const running = racers.map((racer) => insist(racer))
  if (world.trouble === 'kill -9') {
    await delay(world.seeded.below(120))
    await world.roles.restart('SIGKILL')
  }
  return Promise.all(running)
}

/** The same request until it is answered. */
async function insist(racer: Racer): Promise<Result> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    try {
      await racer.send()
      return 'won'
    } catch (error) {
      const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode
      if (status === 412) return 'lost'
      if (status !== undefined && status !== 409 && status < 500) throw error
    }
    await delay(RETRY_MS)
  }
  return 'unknown'
}

/** What is wrong, if anything. */
async function judge(
  world: World,
  key: string,
  racers: readonly Racer[],
  results: readonly Result[],
): Promise<string | undefined> {
  const versions = await onServer(world, (s3) => bodiesOf(s3, key))
  const winners = racers.filter((_racer, at) => results[at] === 'won')
  const names = new Set(racers.map(({ name }) => name))
  const told = new Set(
    world.proxy.answers
      .filter(({ status, name }) => status === 200 && names.has(name))
      .map(({ name }) => name),
  )
  world.proxy.forget()
  if (results.includes('unknown')) return 'a racer never got an answer'
  if (winners.length > 1) return `${winners.length} racers were told that they won`
  if (told.size > 1) return `the server told ${told.size} racers that they won`
  if (versions.length !== 1) return `${versions.length} versions`
  const [body = ''] = versions
  if (winners.some((winner) => winner.body !== body)) return 'the bytes are not those of the winner'
  const holder = racers.find((racer) => racer.body === body)
  if (holder === undefined) return 'the bytes are nobody’s'
  return told.size === 1 && !told.has(holder.name) ? 'the server told another racer that it won' : undefined
}

/** What each version of a key holds, newest first. */
async function bodiesOf(s3: S3Client, key: string): Promise<string[]> {
  const listed = await s3.send(new ListObjectVersionsCommand({ Bucket: BUCKET, Prefix: key }))
  const bodies: string[] = []
  for (const { Key, VersionId } of listed.Versions ?? []) {
    if (Key !== key) continue
    const found = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key, VersionId }))
    bodies.push((await found.Body?.transformToString()) ?? '')
  }
  return bodies
}

/** Writers that each replace what they read: every link of the chain is written once. */
async function chain(world: World): Promise<void> {
  const key = `chain-${world.trouble}`
  await onServer(world, (s3) =>
    s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: '0 by nobody' })),
  )
  const writers = Array.from({ length: CHAIN_WRITERS }, (_, at) => append(world, key, String(at)))
  if (world.trouble === 'kill -9') {
    await delay(50 + world.seeded.below(300))
    await world.roles.restart('SIGKILL')
  }
  await Promise.all(writers)
  const bodies = await onServer(world, (s3) => bodiesOf(s3, key))
  const links = bodies.map((body) => Number.parseInt(body, 10)).reverse()
  const isWhole = links.length > LINKS && links.every((link, at) => link === at)
  const name = `If-Match chain of ${LINKS} links by ${CHAIN_WRITERS} writers, with ${world.trouble}`
  world.report.holds(name, isWhole, `${bodies.length - 1} links written, each once`)
  world.proxy.forget()
}

async function append({ racing }: World, key: string, writer: string): Promise<void> {
  const at = { Bucket: BUCKET, Key: key }
  for (let failures = 0; failures < ATTEMPTS_MAX; ) {
    try {
      const found = await racing.send(new GetObjectCommand(at))
      const link = Number.parseInt((await found.Body?.transformToString()) ?? '', 10)
      if (link >= LINKS) return
      const Body = `${link + 1} by ${writer}`
      await racing.send(new PutObjectCommand({ ...at, Body, IfMatch: found.ETag ?? '' }))
    } catch (error) {
      const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode
      if (status === 412 || status === 409) continue
      failures++
      await delay(RETRY_MS)
    }
  }
}
