/** Multipart uploads over the wire. */
import { expect } from 'chai'
import { type Identity, sha256 } from './signing.js'
import { send, type WireResponse } from './wire.js'
import { text } from './xml.js'

export interface ListedPart {
  readonly number: number
  /** With quotes. */
  readonly etag: string
  /** Element name and value. */
  readonly checksum?: readonly [string, string]
}

/** Begins an upload; its id. */
export async function createUpload(
  identity: Identity,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<string> {
  const response = await send(identity, { method: 'POST', path, query: 'uploads', headers })
  expect(response.status, response.text).to.equal(200)
  const id = text(response.text, 'UploadId') ?? ''
  expect(id).to.not.equal('')
  return id
}

export interface PartToPut {
  readonly path: string
  readonly id: string
  readonly number: number
  readonly content: Uint8Array
  readonly headers?: Readonly<Record<string, string>>
}

/** Stores a part; how a Complete names it. */
export async function putPart(identity: Identity, part: PartToPut): Promise<ListedPart> {
  const { path, id, number, content, headers = {} } = part
  const query = `partNumber=${number}&uploadId=${id}`
  const payload = sha256(content)
  const response = await send(identity, { method: 'PUT', path, query, headers, body: content, payload })
  expect(response.status, response.text).to.equal(200)
  return { number, etag: response.headers.etag ?? '' }
}

/** The document of a Complete. */
export function completeBody(parts: readonly ListedPart[]): string {
  const entries = parts.map(({ number, etag, checksum }) => {
    const sum = checksum === undefined ? '' : `<${checksum[0]}>${checksum[1]}</${checksum[0]}>`
    return `<Part><PartNumber>${number}</PartNumber><ETag>${etag.replaceAll('"', '&quot;')}</ETag>${sum}</Part>`
  })
  return `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${entries.join('')}</CompleteMultipartUpload>`
}

/** Calls of one suite, whose server is known only once it runs. */
export interface UploadCalls {
  complete(
    path: string,
    id: string,
    parts: readonly ListedPart[],
    headers?: Record<string, string>,
  ): Promise<WireResponse>
  /** Stores the contents as parts 1, 2, … */
  putParts(path: string, id: string, contents: readonly Uint8Array[]): Promise<ListedPart[]>
}

export function uploadCalls(server: () => Identity): UploadCalls {
  return {
    complete: (path, id, parts, headers = {}) =>
      send(server(), { method: 'POST', path, query: `uploadId=${id}`, headers, body: completeBody(parts) }),
    async putParts(path, id, contents) {
      const parts: ListedPart[] = []
      for (const [index, content] of contents.entries()) {
        parts.push(await putPart(server(), { path, id, number: index + 1, content }))
      }
      return parts
    },
  }
}
