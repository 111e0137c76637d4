/** ListObjects and ListObjectsV2: order, limits, markers and delimiters. */
import { expect } from 'chai'
import { ask, compare, list, listAll, makeBucketOf } from './support/listing.js'
import { encode, type Identity } from './support/signing.js'
import { send } from './support/wire.js'
import { START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { blocks, expectError, text } from './support/xml.js'

describe('listings', () => {
  let world: World
  let server: Identity

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('listings')
    server = world.server
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  const bucketOf = (keys: readonly string[]) => makeBucketOf(world.s3, keys)

  describe('order and shape', () => {
    it('sorts by the bytes of the key', async () => {
      const keys = [
        'foo/',
        'foo+1/',
        'foo',
        'Foo',
        'foo/a',
        '\uff5e',
        '\u{1f600}',
        'é',
        'z',
        '~',
        '%',
        '\u0001',
      ]
      const bucket = await bucketOf(keys)
      const sorted = [...keys].sort(compare)
      expect((await list(server, bucket)).keys).to.deep.equal(sorted)
      expect((await list(server, bucket, { 'list-type': '2' })).keys).to.deep.equal(sorted)
    })

    it('shows ETag, size, time, class and checksum kind of each object', async () => {
      const bucket = await bucketOf([])
      await send(server, { method: 'PUT', path: `/${bucket}/k`, body: 'content' })
      const head = await send(server, { method: 'HEAD', path: `/${bucket}/k` })
      for (const version of [{}, { 'list-type': '2' }]) {
        const entry = blocks((await list(server, bucket, version)).response.text, 'Contents')[0] ?? ''
        expect(text(entry, 'ETag')).to.equal(head.headers.etag)
        expect(text(entry, 'Size')).to.equal('7')
        expect(text(entry, 'StorageClass')).to.equal('STANDARD')
        expect(text(entry, 'ChecksumAlgorithm')).to.equal('CRC64NVME')
        expect(text(entry, 'ChecksumType')).to.equal('FULL_OBJECT')
        expect(new Date(text(entry, 'LastModified') ?? '').toUTCString()).to.equal(
          head.headers['last-modified'],
        )
      }
    })

    it('names the owner always in v1, and in v2 only on demand', async () => {
      const bucket = await bucketOf(['k'])
      const owner = text((await ask(server, bucket, {})).text, 'ID')
      expect(owner).to.match(/^[0-9a-f]{64}$/)
      expect((await ask(server, bucket, { 'list-type': '2' })).text).to.not.contain('<Owner>')
      expect(
        text((await ask(server, bucket, { 'list-type': '2', 'fetch-owner': 'true' })).text, 'ID'),
      ).to.equal(owner)
    })

    it('echoes what was asked', async () => {
      const bucket = await bucketOf(['p/a', 'p/b c+d'])
      const plain = (await ask(server, bucket, {})).text
      expect(text(plain, 'Name')).to.equal(bucket)
      expect(text(plain, 'Prefix')).to.equal('')
      expect(text(plain, 'Marker')).to.equal('')
      expect(text(plain, 'MaxKeys')).to.equal('1000')
      expect(text(plain, 'IsTruncated')).to.equal('false')
      expect(plain)
        .to.not.contain('<Delimiter>')
        .and.not.contain('<EncodingType>')
        .and.not.contain('NextMarker')
      const second = (
        await ask(server, bucket, { 'list-type': '2', 'start-after': '', 'continuation-token': '' })
      ).text
      expect(text(second, 'StartAfter')).to.equal('')
      expect(text(second, 'ContinuationToken')).to.equal('')
      expect(text(second, 'KeyCount')).to.equal('2')
      expect(second).to.not.contain('NextContinuationToken')
      const encoded = (
        await ask(server, bucket, {
          prefix: 'p/b c+',
          delimiter: ' ',
          marker: '\u0001',
          'encoding-type': 'url',
        })
      ).text
      expect(text(encoded, 'Prefix')).to.equal('p/b%20c%2B')
      expect(text(encoded, 'Delimiter')).to.equal('%20')
      expect(text(encoded, 'Marker')).to.equal('%01')
      expect(text(encoded, 'Key')).to.equal('p/b%20c%2Bd')
      const after = (
        await ask(server, bucket, { 'list-type': '2', 'start-after': 'p/a+', 'encoding-type': 'url' })
      ).text
      expect(text(after, 'StartAfter')).to.equal('p/a%2B')
    })

    it('lists a missing bucket as missing', async () => {
      for (const version of [{}, { 'list-type': '2' }]) {
        expectError(await ask(server, 'absent-bucket', version), 404, 'NoSuchBucket')
      }
    })

    it('is right immediately after each put and delete', async () => {
      const bucket = await bucketOf([])
      for (let round = 0; round < 10; round++) {
        const path = `/${bucket}/${round}`
        await send(server, { method: 'PUT', path, body: '' })
        expect((await list(server, bucket)).keys).to.deep.equal([String(round)])
        await send(server, { method: 'DELETE', path })
        expect((await list(server, bucket)).keys).to.deep.equal([])
      }
    })
  })

  describe('limits', () => {
    it('counts keys and common prefixes, and is truncated only if something remains', async () => {
      const bucket = await bucketOf(['a', 'b/1', 'b/2', 'c'])
      const version = { 'list-type': '2', delimiter: '/' }
      const first = await list(server, bucket, { ...version, 'max-keys': '2' })
      expect([first.keys, first.prefixes, first.truncated]).to.deep.equal([['a'], ['b/'], true])
      expect(text(first.response.text, 'KeyCount')).to.equal('2')
      const second = await list(server, bucket, {
        ...version,
        'max-keys': '2',
        'continuation-token': first.next ?? '',
      })
      expect([second.keys, second.prefixes, second.truncated]).to.deep.equal([['c'], [], false])
      expect(text(second.response.text, 'ContinuationToken')).to.equal(first.next)
      const exact = await list(server, bucket, { ...version, 'max-keys': '3' })
      expect(exact.truncated).to.equal(false)
    })

    it('answers max-keys=0 with an empty page that is not truncated', async () => {
      const bucket = await bucketOf(['a'])
      for (const version of [{}, { 'list-type': '2' }]) {
        const page = await list(server, bucket, { ...version, 'max-keys': '0' })
        expect([page.keys, page.truncated, page.next]).to.deep.equal([[], false, undefined])
        expect(text(page.response.text, 'MaxKeys')).to.equal('0')
      }
    })

    it('caps above 1,000 and refuses what is no number', async () => {
      const bucket = await bucketOf(['a'])
      const page = await list(server, bucket, { 'max-keys': '100000' })
      expect(text(page.response.text, 'MaxKeys')).to.equal('1000')
      for (const value of ['x', '-1', '1.5', '99999999999']) {
        for (const version of [{}, { 'list-type': '2' }]) {
          expectError(await ask(server, bucket, { ...version, 'max-keys': value }), 400, 'InvalidArgument')
        }
      }
    })

    it('refuses a token that is none of ours, and an unknown encoding', async () => {
      const bucket = await bucketOf(['a'])
      const broken = await ask(server, bucket, { 'list-type': '2', 'continuation-token': 'no token' })
      expectError(broken, 400, 'InvalidArgument')
      for (const listing of ['', 'list-type=2&', 'versions&', 'uploads&']) {
        for (const encoding of ['base64', '', 'URL']) {
          const query = `${listing}encoding-type=${encoding}`
          const refused = await send(server, { path: `/${bucket}`, query })
          expectError(refused, 400, 'InvalidArgument')
          expect(text(refused.text, 'Message')).to.equal('Invalid Encoding Method specified in Request')
        }
      }
    })

    it('neither cuts short nor hides anything behind a prefix of more than 1,000 keys', async function () {
      this.timeout(60_000)
      const group = Array.from({ length: 1100 }, (_, index) => `0/${String(index).padStart(5, '0')}`)
      const bucket = await bucketOf([...group, '1999#', '1999#/x', '2'])
      for (const version of [1, 2] as const) {
        const grouped = await listAll(server, bucket, { delimiter: '/' }, version)
        expect(grouped.prefixes).to.deep.equal(['0/', '1999#/'])
        expect(grouped.keys).to.deep.equal(['1999#', '2'])
        const paged = await listAll(server, bucket, { delimiter: '/', 'max-keys': '1' }, version)
        expect(paged.sizes).to.deep.equal([1, 1, 1, 1])
        const flat = await listAll(server, bucket, {}, version)
        expect(flat.keys).to.have.length(1103)
        expect(flat.sizes).to.deep.equal([1000, 103])
        const below = await listAll(server, bucket, { prefix: '0/', delimiter: '/' }, version)
        expect(below.keys).to.deep.equal(group)
      }
    })
  })

  describe('where a page begins', () => {
    it('continues v1 behind the last key without a delimiter, and by NextMarker with one', async () => {
      const bucket = await bucketOf(['a', 'b/1', 'b/2', 'c'])
      const plain = await list(server, bucket, { 'max-keys': '2' })
      expect([plain.truncated, plain.next]).to.deep.equal([true, undefined])
      const grouped = await list(server, bucket, { 'max-keys': '2', delimiter: '/' })
      expect(grouped.next).to.equal('b/')
      const rest = await list(server, bucket, { 'max-keys': '2', delimiter: '/', marker: 'b/' })
      expect([rest.keys, rest.prefixes, rest.truncated]).to.deep.equal([['c'], [], false])
    })

    it('skips the common prefix that a marker lies in, but not that of a start', async () => {
      const bucket = await bucketOf(['f/a/1', 'f/a/2', 'f/b', 'f/c'])
      const asked = { prefix: 'f/', delimiter: '/', 'max-keys': '1' }
      const first = await list(server, bucket, { ...asked, marker: 'f/a/1' })
      expect([first.keys, first.prefixes, first.truncated]).to.deep.equal([['f/b'], [], true])
      expect(text(first.response.text, 'Marker')).to.equal('f/a/1')
      expect(text(first.response.text, 'NextMarker')).to.equal('f/b')
      const second = await list(server, bucket, { ...asked, 'list-type': '2', 'start-after': 'f/a/1' })
      expect([second.keys, second.prefixes]).to.deep.equal([[], ['f/a/']])
    })

    it('takes markers that do not exist, or lie beyond the end', async () => {
      const bucket = await bucketOf(['a', 'c'])
      for (const [marker, keys] of [
        ['b', ['c']],
        ['a', ['c']],
        ['c', []],
        ['zzz', []],
        ['\u0001', ['a', 'c']],
      ] as const) {
        expect((await list(server, bucket, { marker })).keys).to.deep.equal(keys)
        expect((await list(server, bucket, { 'list-type': '2', 'start-after': marker })).keys).to.deep.equal(
          keys,
        )
      }
    })

    it('lets the token win over start-after', async () => {
      const bucket = await bucketOf(['a', 'b', 'c'])
      const first = await list(server, bucket, { 'list-type': '2', 'max-keys': '1' })
      const second = await list(server, bucket, {
        'list-type': '2',
        'continuation-token': first.next ?? '',
        'start-after': 'b',
      })
      expect(second.keys).to.deep.equal(['b', 'c'])
    })

    it('continues a listing whose next key was deleted meanwhile', async () => {
      const bucket = await bucketOf(['a', 'b', 'c', 'd'])
      const first = await list(server, bucket, { 'list-type': '2', 'max-keys': '2' })
      for (const key of ['b', 'c']) await send(server, { method: 'DELETE', path: `/${bucket}/${key}` })
      const second = await list(server, bucket, { 'list-type': '2', 'continuation-token': first.next ?? '' })
      expect(second.keys).to.deep.equal(['d'])
    })
  })

  describe('delimiters', () => {
    it('lists a key that equals the prefix and ends in the delimiter', async () => {
      const bucket = await bucketOf(['dir/', 'dir/a', 'dir/sub/b'])
      const page = await list(server, bucket, { prefix: 'dir/', delimiter: '/' })
      expect([page.keys, page.prefixes]).to.deep.equal([['dir/', 'dir/a'], ['dir/sub/']])
    })

    it('takes any string as the delimiter, and none for none', async () => {
      const keys = ['bar', 'baz', 'cab', 'foo', 'a b', 'a%b', 'a.b', 'x-y-z', 'x-y-w']
      const bucket = await bucketOf(keys)
      for (const [delimiter, prefixes] of [
        ['a', ['a', 'ba', 'ca']],
        ['%', ['a%']],
        [' ', ['a ']],
        ['.', ['a.']],
        ['-y-', ['x-y-']],
        ['/', []],
        ['', []],
        ['\u0001', []],
      ] as const) {
        const page = await list(server, bucket, { delimiter })
        expect(page.prefixes, delimiter).to.deep.equal(prefixes)
        expect(page.keys).to.deep.equal(
          keys.filter((key) => delimiter === '' || !key.includes(delimiter)).sort(compare),
        )
        const echoed = text(page.response.text, 'Delimiter')
        expect(echoed).to.equal(delimiter === '' ? undefined : encode(delimiter).replaceAll('%2F', '/'))
      }
    })
  })
})
