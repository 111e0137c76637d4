/** Storage classes: labels of objects that are read at once all the same. */
import { PutBucketVersioningCommand } from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { postForm } from './support/form.js'
import { useSuite } from './support/suite.js'
import { createUpload, uploadCalls } from './support/uploads.js'
import { send, type WireResponse } from './support/wire.js'
import { blocks, expectError, text } from './support/xml.js'

const HEADER = 'x-amz-storage-class'
const LABELS = ['STANDARD_IA', 'ONEZONE_IA', 'REDUCED_REDUNDANCY', 'INTELLIGENT_TIERING', 'GLACIER_IR']
/** Objects of these could not be read at once, or lie elsewhere; the last does not exist. */
const REFUSED = ['GLACIER', 'DEEP_ARCHIVE', 'SNOW', 'OUTPOSTS', 'EXPRESS_ONEZONE', 'FakeClass']

describe('storage classes', () => {
  const suite = useSuite('storage-classes')
  const { putParts, complete } = uploadCalls(() => suite.server)

  async function put(path: string, headers: Readonly<Record<string, string>>): Promise<WireResponse> {
    return send(suite.server, { method: 'PUT', path, headers, body: 'content' })
  }

  /** As HEAD and as GetObjectAttributes show it. */
  async function shown(path: string): Promise<(string | undefined)[]> {
    const head = await send(suite.server, { method: 'HEAD', path })
    expect(head.status).to.equal(200)
    const headers = { 'x-amz-object-attributes': 'StorageClass' }
    const attributes = await send(suite.server, { path, query: 'attributes', headers })
    return [head.headers[HEADER], text(attributes.text, 'StorageClass')]
  }

  async function copy(
    from: string,
    to: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<WireResponse> {
    return send(suite.server, { method: 'PUT', path: to, headers: { 'x-amz-copy-source': from, ...headers } })
  }

  it('are kept with the object and shown by GET, HEAD, attributes and listings', async () => {
    for (const name of LABELS) {
      const path = suite.freshPath()
      expect((await put(path, { [HEADER]: name })).status).to.equal(200)
      expect(await shown(path)).to.deep.equal([name, name])
      const got = await send(suite.server, { path })
      expect([got.headers[HEADER], got.text]).to.deep.equal([name, 'content'])
      const prefix = `prefix=${path.split('/').at(-1)}`
      for (const query of [prefix, `list-type=2&${prefix}`, `${prefix}&versions`]) {
        const listed = await send(suite.server, { path: `/${suite.bucket}`, query })
        expect(text(listed.text, 'StorageClass'), query).to.equal(name)
      }
    }
  })

  it('have no header where they are STANDARD', async () => {
    const path = suite.freshPath()
    expect((await put(path, { [HEADER]: 'STANDARD' })).status).to.equal(200)
    expect(await shown(path)).to.deep.equal([undefined, 'STANDARD'])
  })

  it('refuse what could not be read at once, and what S3 does not have', async () => {
    const source = suite.freshPath()
    await put(source, {})
    for (const name of REFUSED) {
      const path = suite.freshPath()
      const headers = { [HEADER]: name }
      const begun = { method: 'POST', path, query: 'uploads', headers }
      for (const refused of [
        await put(path, headers),
        await copy(source, path, headers),
        await send(suite.server, begun),
      ]) {
        expectError(refused, 400, 'InvalidStorageClass')
        expect(text(refused.text, 'StorageClassRequested')).to.equal(name)
      }
    }
  })

  it('of a copy are what it asks for, and STANDARD otherwise', async () => {
    const [source, plain, labelled] = [suite.freshPath(), suite.freshPath(), suite.freshPath()]
    await put(source, { [HEADER]: 'STANDARD_IA', 'x-amz-meta-color': 'red' })
    for (const directive of ['COPY', 'REPLACE']) {
      const headers = { 'x-amz-metadata-directive': directive }
      expect((await copy(source, plain, headers)).status).to.equal(200)
      expect(await shown(plain)).to.deep.equal([undefined, 'STANDARD'])
      expect((await copy(source, labelled, { ...headers, [HEADER]: 'GLACIER_IR' })).status).to.equal(200)
      expect(await shown(labelled)).to.deep.equal(['GLACIER_IR', 'GLACIER_IR'])
    }
  })

  it('can be all that a copy onto itself changes, but must be named', async () => {
    const path = suite.freshPath()
    await put(path, { 'x-amz-meta-color': 'red' })
    expect((await copy(path, path, { [HEADER]: 'ONEZONE_IA' })).status).to.equal(200)
    expect(await shown(path)).to.deep.equal(['ONEZONE_IA', 'ONEZONE_IA'])
    const head = await send(suite.server, { method: 'HEAD', path })
    expect(head.headers['x-amz-meta-color']).to.equal('red')
    expectError(await copy(path, path), 400, 'InvalidRequest')
    expect((await copy(path, path, { [HEADER]: 'STANDARD' })).status).to.equal(200)
    expect(await shown(path)).to.deep.equal([undefined, 'STANDARD'])
  })

  it('of an upload are shown while it is open and kept by its object', async () => {
    const path = suite.freshPath()
    const id = await createUpload(suite.server, path, { [HEADER]: 'STANDARD_IA' })
    const parts = await putParts(path, id, [Buffer.from('part')])
    const listedParts = await send(suite.server, { path, query: `uploadId=${id}` })
    expect(text(listedParts.text, 'StorageClass')).to.equal('STANDARD_IA')
    const uploads = await send(suite.server, { path: `/${suite.bucket}`, query: 'uploads' })
    expect(blocks(uploads.text, 'Upload').map((entry) => text(entry, 'StorageClass'))).to.deep.equal([
      'STANDARD_IA',
    ])
    expect((await complete(path, id, parts)).status).to.equal(200)
    expect(await shown(path)).to.deep.equal(['STANDARD_IA', 'STANDARD_IA'])
  })

  it('are taken from a form', async () => {
    const path = suite.freshPath()
    const key = path.split('/').at(-1) ?? ''
    const fields = { [HEADER]: 'INTELLIGENT_TIERING' }
    expect((await postForm(suite.server, { bucket: suite.bucket, key, fields })).status).to.equal(204)
    expect(await shown(path)).to.deep.equal(['INTELLIGENT_TIERING', 'INTELLIGENT_TIERING'])
  })

  it('belong to each version', async () => {
    const VersioningConfiguration = { Status: 'Enabled' as const }
    const Bucket = suite.bucket
    await suite.world.s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }))
    const path = suite.freshPath()
    await put(path, { [HEADER]: 'STANDARD_IA' })
    await put(path, {})
    const query = `versions&prefix=${path.split('/').at(-1)}`
    const listed = await send(suite.server, { path: `/${suite.bucket}`, query })
    expect(blocks(listed.text, 'Version').map((entry) => text(entry, 'StorageClass'))).to.deep.equal([
      'STANDARD',
      'STANDARD_IA',
    ])
  })
})
