import type { CairnClient, CopySource, OpenedObject } from '@cairn/client'
import { CairnError, type ErrorCode, systemClock } from '@cairn/protocol'
import { expect } from 'chai'
import { DEFAULT_GATEWAY_CONFIG } from '../../../src/config.js'
import { toS3Error } from '../../../src/errors.js'
import { parseQuery } from '../../../src/http/query.js'
import { copyObject } from '../../../src/operations/objects/copy-object.js'
import type { Operation, OperationContext } from '../../../src/operations/types.js'
import { uploadPartCopy } from '../../../src/operations/uploads/upload-part-copy.js'

interface Given {
  readonly source?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly versionId?: string
  /** What copies come to, one after the other; then they succeed. */
  readonly failures?: readonly CairnError[]
}

const overtaken = new CairnError('PreconditionFailed', '', { details: { sourceChanged: 'true' } })
const fails = (code: ErrorCode): CairnError => new CairnError(code, '')

for (const operation of [copyObject, uploadPartCopy] as readonly Operation[]) {
  describe(`${operation.name} of a source that others write`, () => {
    /** The status or the error's code, and the sources of all copies that were tried. */
    async function copy({
      source = 'bucket/source',
      headers = {},
      versionId = 'null',
      failures = [],
    }: Given) {
      const tried: CopySource[] = []
      let opened = 0
      const open = (): OpenedObject => {
        const object = { versionId, etag: `etag${++opened}`, sizeBytes: 1, modifiedMs: 0, parts: [] }
        const facts = { key: 'source', attributes: {}, ...object }
        return { object: facts, versioning: 'unset' } as unknown as OpenedObject
      }
      const attempt = (reference: CopySource) => {
        const failure = failures[tried.push(reference) - 1]
        return failure === undefined
          ? Promise.resolve({ etag: reference.etag, modifiedMs: 0 } as never)
          : Promise.reject(failure)
      }
      const client: Partial<CairnClient> = {
        openObject: async () => open(),
        getUpload: async () => ({}) as never,
        copyObject: attempt,
        copyPart: (_upload, _number, reference) => attempt(reference),
      }
      const facts = { client, clock: systemClock, config: DEFAULT_GATEWAY_CONFIG, nowMs: 0 }
      const context = {
        ...facts,
        bucket: 'bucket',
        key: 'copy',
        headers: { 'x-amz-copy-source': source, ...headers },
        query: parseQuery('partNumber=1&uploadId=id'),
        principal: { kind: 'anonymous' },
      } as unknown as OperationContext
      const outcome = await (async () => operation.handle(context))().then(
        ({ status }) => String(status),
        (error: unknown) => toS3Error(error).code,
      )
      return { outcome, tried: tried.map((each) => each.versionId ?? each.etag) }
    }

    it('copies it as it is by then', async () => {
      expect(await copy({ failures: [overtaken, overtaken] })).to.deep.equal({
        outcome: '200',
        tried: ['etag1', 'etag2', 'etag3'],
      })
    })

    it('copies the version that was found, where it has an id', async () => {
      expect(await copy({ versionId: 'v1' })).to.deep.equal({ outcome: '200', tried: ['v1'] })
      expect(await copy({ versionId: 'v1', failures: [fails('NoSuchVersion')] })).to.deep.equal({
        outcome: '200',
        tried: ['v1', 'v1'],
      })
    })

    it('says that a version is gone only if the caller named it', async () => {
      const source = 'bucket/source?versionId=v1'
      const failures = [fails('NoSuchVersion')]
      expect((await copy({ source, versionId: 'v1', failures })).outcome).to.equal('NoSuchVersion')
    })

    it('judges it anew by the conditions of the caller', async () => {
      const headers = { 'x-amz-copy-source-if-match': '"etag1"' }
      expect(await copy({ headers, failures: [overtaken] })).to.deep.equal({
        outcome: 'PreconditionFailed',
        tried: ['etag1'],
      })
    })

    it('asks to be tried later if it keeps changing', async () => {
      const { outcome, tried } = await copy({ failures: Array<CairnError>(9).fill(overtaken) })
      expect([outcome, tried.length]).to.deep.equal(['SlowDown', 4])
    })

    it('passes other failures on at once', async () => {
      const { outcome, tried } = await copy({ failures: [fails('PreconditionFailed')] })
      expect([outcome, tried.length]).to.deep.equal(['PreconditionFailed', 1])
    })
  })
}
