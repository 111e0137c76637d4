/** Versioning: states, markers, versions by id, and their listing. */
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { expect } from 'chai'
import type { Identity } from './support/signing.js'
import { send, type WireResponse } from './support/wire.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { blocks, expectError, refusalOf, text } from './support/xml.js'

interface Listed {
  readonly key: string
  readonly version: string
  readonly latest: boolean
  readonly marker: boolean
}

describe('versioning', () => {
  let world: World
  let server: Identity
  let Bucket: string

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('versioning')
    server = world.server
  })

  beforeEach(async () => {
    Bucket = freshName()
    await world.s3.send(new CreateBucketCommand({ Bucket }))
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  async function turn(Status: 'Enabled' | 'Suspended'): Promise<void> {
    await world.s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status } }))
  }

  function call(method: string, key: string, query = '', body?: string): Promise<WireResponse> {
    const options = { method, path: `/${Bucket}/${key}`, query }
    return send(server, body === undefined ? options : { ...options, body })
  }

  /** Stores and answers the version id, if one was shown. */
  async function put(key: string, body: string): Promise<string | undefined> {
    const response = await call('PUT', key, '', body)
    expect(response.status, response.text).to.equal(200)
    return response.headers['x-amz-version-id']
  }

  async function remove(key: string, versionId?: string): Promise<WireResponse> {
    const response = await call('DELETE', key, versionId === undefined ? '' : `versionId=${versionId}`)
    expect(response.status, response.text).to.equal(204)
    return response
  }

  async function listVersions(query = ''): Promise<{ entries: Listed[]; xml: string }> {
    const response = await send(server, { path: `/${Bucket}`, query: `versions&${query}` })
    expect(response.status, response.text).to.equal(200)
    const entries = [...response.text.matchAll(/<(Version|DeleteMarker)>(.*?)<\/\1>/gs)].map((match) => {
      const content = match[2] ?? ''
      return {
        key: text(content, 'Key') ?? '',
        version: text(content, 'VersionId') ?? '',
        latest: text(content, 'IsLatest') === 'true',
        marker: match[1] === 'DeleteMarker',
      }
    })
    return { entries, xml: response.text }
  }

  /** Entries and common prefixes of all pages of at most so many, in the order of the pages. */
  async function listPages(limit: number, query = ''): Promise<(Listed | string)[]> {
    const seen: (Listed | string)[] = []
    let markers = ''
    for (;;) {
      const page = await listVersions(`${query}${markers}&max-keys=${limit}`)
      seen.push(...page.entries)
      seen.push(...blocks(page.xml, 'CommonPrefixes').map((group) => text(group, 'Prefix') ?? ''))
      if (text(page.xml, 'IsTruncated') !== 'true') return seen
      const version = text(page.xml, 'NextVersionIdMarker')
      markers = `&key-marker=${encodeURIComponent(text(page.xml, 'NextKeyMarker') ?? '')}`
      if (version !== undefined) markers += `&version-id-marker=${version}`
    }
  }

  it('begins unset, and goes to enabled and suspended, also directly', async () => {
    const state = async (): Promise<string> =>
      (await send(server, { path: `/${Bucket}`, query: 'versioning' })).text
    expect(await state()).to.match(/<VersioningConfiguration[^>]*(\/>|><\/VersioningConfiguration>)/)
    await turn('Suspended')
    expect(text(await state(), 'Status')).to.equal('Suspended')
    await turn('Enabled')
    expect(text(await state(), 'Status')).to.equal('Enabled')
  })

  it('refuses states there are not', async () => {
    for (const body of [
      '<VersioningConfiguration><Status>Off</Status></VersioningConfiguration>',
      '<VersioningConfiguration><Status>enabled</Status></VersioningConfiguration>',
      '<Other/>',
      '',
    ]) {
      const response = await send(server, { method: 'PUT', path: `/${Bucket}`, query: 'versioning', body })
      expect(response.status, response.text).to.equal(400)
    }
    const body = '<VersioningConfiguration/>'
    const empty = await send(server, { method: 'PUT', path: `/${Bucket}`, query: 'versioning', body })
    expectError(empty, 400, 'IllegalVersioningConfigurationException')
    const mfa =
      '<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>'
    const refused = await send(server, { method: 'PUT', path: `/${Bucket}`, query: 'versioning', body: mfa })
    expect(refused.status).to.be.within(400, 501)
  })

  it('shows no version id where versioning was never on, and null for such objects later', async () => {
    expect(await put('k', 'old')).to.equal(undefined)
    expect((await call('GET', 'k')).headers['x-amz-version-id']).to.equal(undefined)
    const { entries } = await listVersions()
    expect(entries).to.deep.equal([{ key: 'k', version: 'null', latest: true, marker: false }])
    expect((await call('GET', 'k', 'versionId=null')).text).to.equal('old')
    await turn('Enabled')
    expect((await call('GET', 'k')).headers['x-amz-version-id']).to.equal('null')
    const newer = await put('k', 'new')
    expect((await call('GET', 'k', 'versionId=null')).text).to.equal('old')
    expect((await listVersions()).entries.map((entry) => entry.version)).to.deep.equal([newer, 'null'])
  })

  it('keeps every version, newest first, each readable by its id', async () => {
    await turn('Enabled')
    const versions: string[] = []
    for (const body of ['1', '2', '3']) versions.unshift((await put('k', body)) ?? '')
    expect(new Set(versions).size).to.equal(3)
    const { entries } = await listVersions()
    expect(entries).to.deep.equal(
      versions.map((version, index) => ({ key: 'k', version, latest: index === 0, marker: false })),
    )
    for (const [index, version] of versions.entries()) {
      const got = await call('GET', 'k', `versionId=${version}`)
      expect(got.text).to.equal(String(3 - index))
      expect(got.headers['x-amz-version-id']).to.equal(version)
      const head = await call('HEAD', 'k', `versionId=${version}`)
      expect(head.headers['content-length']).to.equal('1')
    }
    expect((await call('GET', 'k')).headers['x-amz-version-id']).to.equal(versions[0])
  })

  it('covers the object with a marker on delete, and uncovers it when the marker goes', async () => {
    await turn('Enabled')
    const version = await put('k', 'content')
    const deleted = await remove('k')
    const marker = deleted.headers['x-amz-version-id'] ?? ''
    expect(deleted.headers['x-amz-delete-marker']).to.equal('true')
    expect(marker).to.not.equal(version)
    const gone = await call('GET', 'k')
    expectError(gone, 404, 'NoSuchKey')
    expect(gone.headers['x-amz-delete-marker']).to.equal('true')
    expect(gone.headers['x-amz-version-id']).to.equal(marker)
    const head = await call('HEAD', 'k')
    expect([head.status, head.headers['x-amz-delete-marker']]).to.deep.equal([404, 'true'])
    expect((await call('GET', 'k', `versionId=${version}`)).text).to.equal('content')
    const byId = await call('GET', 'k', `versionId=${marker}`)
    expectError(byId, 405, 'MethodNotAllowed')
    expect(byId.headers.allow).to.equal('DELETE')
    expect(byId.headers['x-amz-delete-marker']).to.equal('true')
    const second = (await remove('k')).headers['x-amz-version-id']
    expect(
      (await listVersions()).entries.map((entry) => [entry.version, entry.marker, entry.latest]),
    ).to.deep.equal([
      [second, true, true],
      [marker, true, false],
      [version, false, false],
    ])
    for (const id of [second, marker]) {
      const removed = await remove('k', id)
      expect(removed.headers['x-amz-delete-marker']).to.equal('true')
      expect(removed.headers['x-amz-version-id']).to.equal(id)
    }
    expect((await call('GET', 'k')).text).to.equal('content')
  })

  it('names an owner for versions and markers', async () => {
    await turn('Enabled')
    await put('k', 'x')
    await remove('k')
    const { xml } = await listVersions()
    const owner = text(blocks(xml, 'Version')[0] ?? '', 'ID')
    expect(owner).to.match(/^[0-9a-f]{64}$/)
    expect(text(blocks(xml, 'DeleteMarker')[0] ?? '', 'ID')).to.equal(owner)
  })

  it('exposes the version before when the current one is removed', async () => {
    await turn('Enabled')
    const first = await put('k', '1')
    const second = await put('k', '2')
    const removed = await remove('k', second)
    expect(removed.headers['x-amz-delete-marker']).to.equal(undefined)
    expect(removed.headers['x-amz-version-id']).to.equal(second)
    expect((await call('GET', 'k')).text).to.equal('1')
    expectError(await call('GET', 'k', `versionId=${second}`), 404, 'NoSuchVersion')
    await remove('k', first)
    expectError(await call('GET', 'k'), 404, 'NoSuchKey')
    expect((await listVersions()).entries).to.deep.equal([])
  })

  it('answers 204 to the removal of a version that is not there, 400 to ids that are none', async () => {
    await turn('Enabled')
    const version = (await put('k', '1')) ?? ''
    await remove('k', version)
    await remove('k', version)
    await remove('k', 'null')
    for (const bad of ['', 'no-version']) {
      for (const method of ['GET', 'DELETE']) {
        expectError(await call(method, 'k', `versionId=${bad}`), 400, 'InvalidArgument')
      }
    }
    expectError(await call('GET', 'k', 'versionId=null'), 404, 'NoSuchVersion')
  })

  it('replaces only the null version while suspended', async () => {
    expect(await put('k', 'before')).to.equal(undefined)
    await turn('Enabled')
    const version = await put('k', 'versioned')
    await turn('Suspended')
    expect(await put('k', 'suspended 1')).to.equal('null')
    expect(await put('k', 'suspended 2')).to.equal('null')
    expect((await listVersions()).entries.map((entry) => entry.version)).to.deep.equal(['null', version])
    expect((await call('GET', 'k')).text).to.equal('suspended 2')
    expect((await call('GET', 'k', `versionId=${version}`)).text).to.equal('versioned')
    await turn('Enabled')
    const last = await put('k', 'last')
    expect((await listVersions()).entries.map((entry) => entry.version)).to.deep.equal([
      last,
      'null',
      version,
    ])
  })

  it('writes a null marker while suspended, which replaces the null version', async () => {
    await turn('Enabled')
    const version = await put('k', 'versioned')
    await turn('Suspended')
    await put('k', 'null version')
    const deleted = await remove('k')
    expect(deleted.headers['x-amz-delete-marker']).to.equal('true')
    expect(deleted.headers['x-amz-version-id']).to.equal('null')
    expect((await listVersions()).entries.map((entry) => [entry.version, entry.marker])).to.deep.equal([
      ['null', true],
      [version, false],
    ])
    await remove('k')
    expect((await listVersions()).entries).to.have.length(2)
    await remove('k', 'null')
    expect((await call('GET', 'k')).text).to.equal('versioned')
  })

  it('replaces the null version by a multipart upload while suspended', async () => {
    await put('k', 'before')
    await turn('Suspended')
    const Key = 'k'
    const { UploadId } = await world.s3.send(new CreateMultipartUploadCommand({ Bucket, Key }))
    const part = await world.s3.send(
      new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: 'parts' }),
    )
    const Parts = [{ PartNumber: 1, ETag: part.ETag }]
    await world.s3.send(
      new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
    )
    expect((await listVersions()).entries.map((entry) => entry.version)).to.deep.equal(['null'])
    expect((await call('GET', 'k')).text).to.equal('parts')
  })

  it('counts versions and markers as content of a bucket', async () => {
    await turn('Enabled')
    const version = await put('k', 'x')
    const marker = (await remove('k')).headers['x-amz-version-id']
    const full = { code: 'BucketNotEmpty', status: 409 }
    expect(await refusalOf(world.s3.send(new DeleteBucketCommand({ Bucket })))).to.deep.equal(full)
    await remove('k', version)
    expect(await refusalOf(world.s3.send(new DeleteBucketCommand({ Bucket })))).to.deep.equal(full)
    await remove('k', marker)
    await world.s3.send(new DeleteBucketCommand({ Bucket }))
  })

  describe('listed', () => {
    it('pages through versions and markers in one order, markers exclusive', async () => {
      await turn('Enabled')
      for (const key of ['a', 'b', 'b', 'c/1', 'c/2', 'd']) await put(key, key)
      await remove('b')
      await put('b', 'again')
      const { entries } = await listVersions()
      expect(entries.map((entry) => entry.key)).to.deep.equal(['a', 'b', 'b', 'b', 'b', 'c/1', 'c/2', 'd'])
      for (const limit of [1, 2, 3, 5]) expect(await listPages(limit)).to.deep.equal(entries)
      const behind = await listVersions('key-marker=b')
      expect(behind.entries.map((entry) => entry.key)).to.deep.equal(['c/1', 'c/2', 'd'])
    })

    it('groups by the delimiter, and pages over groups', async () => {
      await turn('Enabled')
      for (const key of ['a', 'c/1', 'c/1', 'c/2', 'd', 'e/1']) await put(key, key)
      await remove('c/2')
      const { entries, xml } = await listVersions('delimiter=%2F')
      expect(entries.map((entry) => entry.key)).to.deep.equal(['a', 'd'])
      expect(blocks(xml, 'CommonPrefixes').map((group) => text(group, 'Prefix'))).to.deep.equal(['c/', 'e/'])
      const seen = (await listPages(1, 'delimiter=%2F')).map((each) =>
        typeof each === 'string' ? each : each.key,
      )
      expect(seen).to.deep.equal(['a', 'c/', 'd', 'e/'])
      const below = await listVersions('prefix=c%2F')
      expect(below.entries.map((entry) => entry.key)).to.deep.equal(['c/1', 'c/1', 'c/2', 'c/2'])
    })

    it('skips the common prefix that a marker lies in', async () => {
      await turn('Enabled')
      for (const key of ['f/a/1', 'f/a/2', 'f/b']) await put(key, key)
      const version = await put('f/a/1', 'again')
      for (const marker of ['key-marker=f%2Fa%2F1', `key-marker=f%2Fa%2F1&version-id-marker=${version}`]) {
        const { entries, xml } = await listVersions(`prefix=f%2F&delimiter=%2F&${marker}`)
        expect(entries.map((entry) => entry.key)).to.deep.equal(['f/b'])
        expect(blocks(xml, 'CommonPrefixes')).to.deep.equal([])
        expect(text(xml, 'KeyMarker')).to.equal('f/a/1')
      }
    })

    it('echoes markers and limits, encodes keys, and refuses a version marker without a key', async () => {
      await turn('Enabled')
      await put('a%20b', 'x')
      const { xml } = await listVersions('encoding-type=url&key-marker=%20&max-keys=7&prefix=a')
      expect(text(xml, 'KeyMarker')).to.equal('%20')
      expect(text(xml, 'VersionIdMarker')).to.equal('')
      expect(text(xml, 'MaxKeys')).to.equal('7')
      expect(text(xml, 'EncodingType')).to.equal('url')
      expect(text(xml, 'Key')).to.equal('a%20b')
      const query = 'version-id-marker=null&versions'
      expectError(await send(server, { path: `/${Bucket}`, query }), 400, 'InvalidArgument')
    })
  })

  it('leaves a consistent list after many concurrent puts and deletes', async function () {
    this.timeout(60_000)
    await turn('Enabled')
    const put32 = await Promise.all(Array.from({ length: 32 }, (_, index) => put('k', `${index}`)))
    const removed = put32.filter((_, index) => index % 2 === 0)
    await Promise.all([...removed.map((version) => remove('k', version)), put('k', 'more'), remove('k')])
    const { entries } = await listVersions()
    expect(entries.filter((entry) => entry.latest)).to.have.length(1)
    expect(entries[0]?.latest).to.equal(true)
    expect(entries).to.have.length(16 + 2)
    for (const version of put32.filter((_, index) => index % 2 === 1)) {
      expect(entries.map((entry) => entry.version)).to.include(version)
      expect((await call('GET', 'k', `versionId=${version}`)).status).to.equal(200)
    }
    const sdk = await world.s3.send(new ListObjectVersionsCommand({ Bucket }))
    expect((sdk.Versions?.length ?? 0) + (sdk.DeleteMarkers?.length ?? 0)).to.equal(18)
  })
})
