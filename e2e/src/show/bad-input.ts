/**
 * Requests that are wrong in every way that has a documented answer, and uploads that end within their body: the
 * right error, the connection still usable where HTTP allows, and nothing stored, neither in a listing nor, once
 * garbage was collected, on a drive.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { type Identity, signedFrames, signRequest, unsignedFrames } from '../../test/s3/support/signing.js'
import { WireConnection, type WireResponse } from '../../test/s3/support/wire.js'
import { text } from '../../test/s3/support/xml.js'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { type RunningRoles, startRoles } from '../harness/roles.js'
import type { Server } from '../harness/server.js'
import { type BadCase, badCases, type Prepared } from './bad-input-cases.js'
import type { Report } from './report.js'

const BUCKET = 'bad-input'
/** Grace periods short enough to see the garbage go. */
const ENV = {
  CAIRN_DURABILITY: 'none',
  CAIRN_GC_GRACE_SECONDS: '1',
  CAIRN_ORPHAN_GRACE_SECONDS: '1',
}
const CUT_BYTES = 64 * 1024
const CUT_STEP_BYTES = 1024
const COLLECTED_MS = 120_000

/** `npm run show -- bad-input`. `cutStepBytes` spreads the cuts out for a sample. */
export async function showBadInput(report: Report, cutStepBytes: number = CUT_STEP_BYTES): Promise<void> {
  const folder = await temporaryFolder('bad-input')
  const roles = await startRoles({ folder, env: ENV })
  try {
    const { server } = roles
    const prepared = await prepare(server)
    const blocks = await roles.countBlocks()
    await askAll(report, server, prepared)
    await cutAll(report, server, cutStepBytes)
    await checkListings(report, server, prepared)
    // The blocks of writes that failed are kept while the session that wrote them lives.
    await roles.restart('SIGTERM')
    const left = await waitForBlocks(roles, blocks)
    report.atMost('blocks on the drives after the garbage was collected', left, blocks)
    await checkListings(report, roles.server, prepared)
  } finally {
    await roles.stop()
    await removeFolder(folder)
  }
}

/** One object, and an upload with two parts of which the first is too small. */
async function prepare(server: Server): Promise<Prepared> {
  const path = `/${BUCKET}/upload`
  await must(server, { method: 'PUT', path: `/${BUCKET}` })
  await must(server, { method: 'PUT', path: `/${BUCKET}/kept`, body: 'kept' })
  const created = await must(server, { method: 'POST', path, query: 'uploads' })
  const uploadId = text(created.text, 'UploadId') ?? ''
  const etags: string[] = []
  for (const number of [1, 2]) {
    const query = `partNumber=${number}&uploadId=${uploadId}`
    const { headers } = await must(server, { method: 'PUT', path, query, body: `part ${number}` })
    etags.push(headers.etag ?? '')
  }
  return { bucket: BUCKET, uploadId, etags }
}

async function must(server: Identity, options: Parameters<typeof signRequest>[1]): Promise<WireResponse> {
  const connection = await WireConnection.open(server)
  try {
    const response = await connection.send(signRequest(server, options))
    if (response.status !== 200) throw new Error(`preparing failed: ${response.text}`)
    return response
  } finally {
    connection.destroy()
  }
}

/** All cases on one connection for as long as it lasts. */
async function askAll(report: Report, server: Server, prepared: Prepared): Promise<void> {
  let connection = await WireConnection.open(server)
  let kept = 0
  let unusable = 0
  const cases = badCases(server, prepared)
  for (const bad of cases) {
    const answer = await connection.send(bad.request())
    judge(report, bad, answer)
    if (answer.headers.connection === 'close') {
      connection.destroy()
      connection = await WireConnection.open(server)
    } else kept++
    const again = await connection.send(signRequest(server, { path: `/${BUCKET}/kept` }))
    if (again.text !== 'kept') unusable++
  }
  connection.destroy()
  report.atMost('requests that failed after a refusal', unusable, 0)
  report.atLeast(`connections kept after ${cases.length} refusals`, kept, cases.length / 2)
}

function judge(report: Report, { name, status, code }: BadCase, answer: WireResponse): void {
  const found = `${answer.status} ${text(answer.text, 'Code') ?? ''}`
  report.holds(name, found === `${status} ${code}`, found)
}

/** Uploads of 64 KiB in each payload kind that end after every `stepBytes` of what is sent. */
async function cutAll(report: Report, server: Server, stepBytes: number): Promise<void> {
  const content = Buffer.alloc(CUT_BYTES, 'cut')
  for (const [kind, payload] of PAYLOADS) {
    let cuts = 0
    let answered = 0
    for (let at = 0; at < CUT_BYTES; at += stepBytes) {
      const { head, body } = uploadOf(server, `/${BUCKET}/cut-${kind}-${at}`, { payload, content })
      const connection = await WireConnection.open(server)
      await connection.write(Buffer.concat([head, body.subarray(0, at)]))
      if (connection.pendingBytes > 0) answered++
      connection.destroy()
      cuts++
    }
    report.holds(`${kind}: uploads cut within the body`, answered === 0, `${cuts} cuts, none answered`)
  }
}

const PAYLOADS = [
  ['literal', undefined],
  ['unsigned', 'UNSIGNED-PAYLOAD'],
  ['signed-chunks', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'],
  ['signed-trailer', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER'],
  ['unsigned-trailer', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'],
] as const

interface Upload {
  readonly payload: string | undefined
  readonly content: Buffer
}

function uploadOf(
  server: Server,
  path: string,
  { payload, content }: Upload,
): { head: Buffer; body: Buffer } {
  if (payload === undefined || payload === 'UNSIGNED-PAYLOAD') {
    const named = payload === undefined ? {} : { payload }
    return signRequest(server, { method: 'PUT', path, body: content, ...named })
  }
  const chunks = [content.subarray(0, CUT_BYTES / 2), content.subarray(CUT_BYTES / 2)]
  const headers = { 'x-amz-decoded-content-length': String(CUT_BYTES), 'content-encoding': 'aws-chunked' }
  const frames = (signing: Parameters<typeof signedFrames>[0]): Buffer =>
    payload.includes('UNSIGNED') ? unsignedFrames(chunks) : signedFrames(signing, chunks)
  const atMs = Date.now()
  const draft = signRequest(server, { method: 'PUT', path, headers, payload, atMs })
  const unsigned = { 'content-length': String(frames(draft.signing).length) }
  const { head, signing } = signRequest(server, { method: 'PUT', path, headers, unsigned, payload, atMs })
  return { head, body: frames(signing) }
}

async function checkListings(report: Report, server: Server, { uploadId }: Prepared): Promise<void> {
  const objects = await must(server, { path: `/${BUCKET}` })
  const keys = [...objects.text.matchAll(/<Key>([^<]*)<\/Key>/g)].map((match) => match[1])
  report.holds(
    'nothing but the object from before is listed',
    keys.join() === 'kept',
    keys.slice(0, 5).join(),
  )
  const parts = await must(server, { path: `/${BUCKET}/upload`, query: `uploadId=${uploadId}` })
  const sizes = [...parts.text.matchAll(/<Size>(\d+)<\/Size>/g)].map((match) => match[1])
  report.holds('the open upload has its two parts', sizes.join() === '6,6', sizes.join())
}

async function waitForBlocks(roles: RunningRoles, blocksMax: number): Promise<number> {
  const until = performance.now() + COLLECTED_MS
  for (;;) {
    const blocks = await roles.countBlocks()
    if (blocks <= blocksMax || performance.now() > until) return blocks
    await delay(250)
  }
}
