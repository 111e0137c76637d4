/** Bodies as the streams of Node and of the web. Both keep the back-pressure, and both fail rather than end early. */
import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'

/** A Node `Readable`; destroying it leaves the body. */
export function toNodeReadable(body: AsyncIterable<Uint8Array>): Readable {
  return Readable.from(body, { objectMode: false })
}

/** A web `ReadableStream` of bytes, pulled one chunk at a time; cancelling it leaves the body. */
export function toReadableStream(body: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller): Promise<void> {
        const result = await iterator.next()
        if (result.done) controller.close()
        else controller.enqueue(result.value)
      },
      async cancel(): Promise<void> {
        await iterator.return?.()
      },
    },
    { highWaterMark: 0 },
  )
}

/** All bytes of a body at once: for small objects only. */
export async function toBytes(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}
