import type { CairnClient, OpenedObject } from '@cairn/client'
import type { ObjectVersion } from '@cairn/protocol'
import { expect } from 'chai'
import { DEFAULT_GATEWAY_CONFIG } from '../../../src/config.js'
import { parseQuery } from '../../../src/http/query.js'
import { getObject, headObject } from '../../../src/operations/objects/get-object.js'
import type { OperationContext, S3Response } from '../../../src/operations/types.js'

const BYTES = Buffer.from('0123456789')

const OBJECT = {
  key: 'key',
  versionId: 'null',
  modifiedMs: Date.UTC(2026, 0, 2, 3, 4, 5),
  sizeBytes: BYTES.length,
  etag: 'abc',
  attributes: { contentType: 'text/plain', userMetadata: { colour: 'red' } },
  parts: [],
} as unknown as ObjectVersion

const opened: OpenedObject = {
  object: OBJECT,
  versioning: 'unset',
  async *read({ offset, length } = { offset: 0, length: BYTES.length }) {
    yield BYTES.subarray(offset, offset + length)
  },
  readAtOnce: ({ offset, length } = { offset: 0, length: BYTES.length }) =>
    BYTES.subarray(offset, offset + length),
}

interface Asked {
  readonly method?: string
  readonly query?: string
  readonly headers?: Record<string, string>
}

function contextOf(
  client: Partial<CairnClient>,
  { method = 'GET', query = '', headers = {} }: Asked,
): OperationContext {
  const facts = {
    client,
    method,
    headers,
    query: parseQuery(query),
    config: DEFAULT_GATEWAY_CONFIG,
    nowMs: 0,
  }
  return { ...facts, bucket: 'bucket', key: 'key' } as unknown as OperationContext
}

describe('GetObject', () => {
  const atHand = { openObjectNow: () => opened, openObject: () => Promise.reject(new Error('was asked')) }
  const later = { openObjectNow: () => undefined, openObject: () => Promise.resolve(opened) }
  const questions: readonly Asked[] = [
    {},
    { headers: { range: 'bytes=2-4' } },
    { headers: { 'if-none-match': '"abc"' } },
    { query: 'response-content-type=image%2Fpng' },
    { query: 'partNumber=1' },
  ]

  for (const asked of questions) {
    it(`answers what is at hand as it answers later: ${JSON.stringify(asked)}`, async () => {
      const now = await getObject.handle(contextOf(atHand, asked))
      expect(now).to.deep.equal(await getObject.handle(contextOf(later, asked)))
      const head = await headObject.handle(contextOf(atHand, { ...asked, method: 'HEAD' }))
      expect(head.headers).to.deep.equal(now.headers)
      expect(head.body).to.equal(undefined)
    })
  }

  it('does not wait for what is at hand', () => {
    const answer = getObject.handle(contextOf(atHand, {})) as S3Response
    expect(answer).to.deep.equal({
      status: 200,
      headers: {
        'Content-Length': 10,
        'Accept-Ranges': 'bytes',
        'Last-Modified': 'Fri, 02 Jan 2026 03:04:05 GMT',
        ETag: '"abc"',
        'Content-Type': 'text/plain',
        'x-amz-meta-colour': 'red',
      },
      body: BYTES,
    })
  })

  it('asks in the ordinary way for a version that is named', async () => {
    const asked = { query: 'versionId=null' }
    const answer = await getObject.handle(contextOf({ ...atHand, openObject: later.openObject }, asked))
    expect(answer.status).to.equal(200)
  })
})
