/** The workloads: 4 KiB PUT and GET at 1, 16 and 64 connections, and 64 MiB streams both ways. */
import { randomBytes } from 'node:crypto'
import { openConnection } from './http-connection.js'
import { type LoadResult, runLoad } from './load.js'
import type { Probes } from './probes.js'
import { signedHead, type Target } from './signer.js'

export interface MeasureOptions {
  readonly target: Target
  readonly pids: readonly number[]
  readonly probes: Probes
  readonly say: (line: string) => void
  /** 1 for the full number of requests. */
  readonly scale: number
}

const SMALL_BYTES = 4096
const LARGE_BYTES = 64 * 1024 * 1024
const LARGE_ROUNDS = 4
const CONNECTIONS = [1, 16, 64]
const REQUESTS: Record<number, number> = { 1: 3000, 16: 20_000, 64: 30_000 }

/** Runs all workloads and prints one line for each. */
export async function measureAll(options: MeasureOptions): Promise<void> {
  const bucket = `bench-${randomBytes(6).toString('hex')}`
  await request(options.target, 'PUT', `/${bucket}`)
  options.say('workload               conns      ops/s   p50 ms   p99 ms   CPU µs/op   × empty reply')
  for (const connections of CONNECTIONS) await measureSmall(options, bucket, connections)
  await measureLarge(options, bucket)
}

async function request(target: Target, method: string, path: string): Promise<void> {
  const connection = await openConnection(target.endpoint)
  const answer = await connection.send({ head: signedHead(target, method, path, '', 0) }, true)
  connection.close()
  if (answer.status >= 300)
    throw new Error(`${method} ${path}: ${answer.status} ${answer.body?.toString() ?? ''}`)
}

async function measureSmall(options: MeasureOptions, bucket: string, connections: number): Promise<void> {
  const requests = Math.max(100, Math.round((REQUESTS[connections] ?? 1000) * options.scale))
  const body = randomBytes(SMALL_BYTES)
  const { target } = options
  const shared = { endpoint: target.endpoint, connections, requests, pids: options.pids, expectStatus: 200 }
  const path = (index: number) => `/${bucket}/c${connections}/${index % 100}/${index}`
  const puts = Array.from({ length: requests }, (_, index) => ({
    head: signedHead(target, 'PUT', path(index), '', SMALL_BYTES),
    body,
  }))
  report(
    options,
    'PUT 4 KiB',
    connections,
    await runLoad({ ...shared, prepare: (index) => puts[index] as never }),
  )
  const gets = Array.from({ length: requests }, (_, index) => ({
    head: signedHead(target, 'GET', path(index), '', 0),
  }))
  const get = await runLoad({ ...shared, prepare: (index) => gets[index] as never, expectBytes: SMALL_BYTES })
  report(options, 'GET 4 KiB', connections, get)
}

function report(options: MeasureOptions, name: string, connections: number, result: LoadResult): void {
  const cells = [
    name.padEnd(22),
    String(connections).padStart(5),
    result.perSecond.toFixed(0).padStart(10),
    result.p50Ms.toFixed(2).padStart(8),
    result.p99Ms.toFixed(2).padStart(8),
    result.cpuMicros.toFixed(0).padStart(11),
    (result.cpuMicros / options.probes.emptyReplyCpuMicros).toFixed(1).padStart(15),
  ]
  options.say(cells.join(' '))
}

async function measureLarge(options: MeasureOptions, bucket: string): Promise<void> {
  const { target, probes, say } = options
  const body = randomBytes(LARGE_BYTES)
  const put = await timeLarge(options, () => ({
    head: signedHead(target, 'PUT', `/${bucket}/large`, '', LARGE_BYTES),
    body,
  }))
  say(
    `PUT 64 MiB, one stream: ${put.toFixed(0)} MB/s, ${(put / probes.md5MegabytesPerSecond).toFixed(2)} of the MD5 probe`,
  )
  const get = await timeLarge(options, () => ({ head: signedHead(target, 'GET', `/${bucket}/large`, '', 0) }))
  say(
    `GET 64 MiB, one stream: ${get.toFixed(0)} MB/s, ${(get / probes.loopbackMegabytesPerSecond).toFixed(2)} of the loopback probe`,
  )
}

async function timeLarge(
  options: MeasureOptions,
  prepare: () => { head: Buffer; body?: Buffer },
): Promise<number> {
  const result = await runLoad({
    endpoint: options.target.endpoint,
    connections: 1,
    requests: LARGE_ROUNDS,
    prepare,
    expectStatus: 200,
    pids: options.pids,
  })
  return (LARGE_ROUNDS * LARGE_BYTES) / 1e6 / result.seconds
}
