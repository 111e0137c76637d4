/**
 * Writes an answer with back-pressure. Head and first bytes travel in one write; a stream that yields another
 * number of bytes than was promised, or fails after its first, cuts the connection: nobody may take a part for
 * the whole.
 */
import type { ServerResponse } from 'node:http'
import { CairnError, releasePassing } from '@cairn/protocol'
import { ANSWER_QUEUE_BYTES_MAX } from '../limits.js'
import type { S3Response } from '../operations/types.js'
import type { AnswerBatch } from './answer-batch.js'

export interface WriteOptions {
  readonly method: string
  /** Sent with every answer: name, value, name, value … The others are appended. */
  readonly baseHeaders: string[]
  /** Leaves the answer unfinished, for the caller to end: everything the client waits for is sent, though. */
  readonly keepOpen: boolean
  /** Where answers are ended. */
  readonly batch: AnswerBatch
}

/** The number of body bytes sent; of a stream later. Rejects if the stream failed or the client went away. */
export function writeResponse(
  response: ServerResponse,
  answer: S3Response,
  options: WriteOptions,
): number | Promise<number> {
  const { status } = answer
  const bodiless = options.method === 'HEAD' || status === 204 || status === 304
  const { body } = answer
  if (body === undefined || bodiless) {
    writeHead(response, answer, options, bodiless ? undefined : 0)
    finish(response, undefined, options)
    return 0
  }
  if (typeof body === 'string' || body instanceof Uint8Array) {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body
    writeHead(response, answer, options, bytes.length)
    finish(response, bytes, options)
    return bytes.length
  }
  return writeStream(response, answer, body, options)
}

async function writeStream(
  response: ServerResponse,
  answer: S3Response,
  body: AsyncIterable<Uint8Array>,
  options: WriteOptions,
): Promise<number> {
  const promised = answer.headers?.['Content-Length']
  const iterator = body[Symbol.asyncIterator]()
  let sentBytes = 0
  try {
    // The first bytes come before the head: if they cannot be read, an error can still be told.
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      if (response.destroyed) throw gone()
      if (!response.headersSent) writeHead(response, answer, options, undefined)
      const bytes = next.value
      sentBytes += bytes.length
      const hasRoom = response.write(bytes, (error) => release(bytes, error))
      if (!hasRoom && response.writableLength >= ANSWER_QUEUE_BYTES_MAX) await drained(response)
    }
  } catch (error) {
    await iterator.return?.()
    throw error
  }
  if (!response.headersSent) writeHead(response, answer, options, undefined)
  if (promised !== undefined && Number(promised) !== sentBytes) {
    throw new CairnError('LengthMismatch', `an answer of ${promised} bytes ended after ${sentBytes}`)
  }
  finish(response, undefined, options)
  return sentBytes
}

/** Until now the socket may have been sending from it. */
function release(bytes: Uint8Array, error: unknown): void {
  if (error === null || error === undefined) releasePassing(bytes)
}

function writeHead(
  response: ServerResponse,
  answer: S3Response,
  options: WriteOptions,
  contentLength: number | undefined,
): void {
  const head = options.baseHeaders
  const headers = answer.headers ?? {}
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined && name !== 'Content-Length') head.push(name, String(value))
  }
  // Last, for Node reads a Content-Disposition that comes after it as UTF-8 and refuses what is none.
  const length = headers['Content-Length'] ?? contentLength
  if (length !== undefined) head.push('Content-Length', String(length))
  response.sendDate = false
  response.writeHead(answer.status, head)
}

function finish(response: ServerResponse, bytes: Uint8Array | undefined, options: WriteOptions): void {
  if (!options.keepOpen) {
    options.batch.end(response, bytes)
  } else if (bytes !== undefined) {
    response.write(bytes)
  } else {
    response.flushHeaders()
  }
}

function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return Promise.reject(gone())
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      response.off('drain', settle)
      response.off('close', settle)
      if (response.destroyed) reject(gone())
      else resolve()
    }
    response.once('drain', settle)
    response.once('close', settle)
  })
}

function gone(): CairnError {
  return new CairnError('Cancelled', 'the client closed the connection')
}
