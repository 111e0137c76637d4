/** What botocore reads and verifies by itself, through aws-cli: checksums, attributes, tags, conditions. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CreateBucketCommand } from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { run } from '../../src/harness/run.js'
import { hasTool } from '../../src/harness/tools.js'
import { base64Digest } from './support/digests.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'

const CONTENT = Buffer.from('content for botocore')

interface Answer {
  readonly status: number
  readonly error: string
  readonly json: Record<string, unknown>
}

describe('botocore', () => {
  let world: World
  let file: string
  const bucket = freshName()

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    if (!(await hasTool('aws'))) this.skip()
    world = await startWorld('botocore')
    file = join(world.folder, 'content')
    await writeFile(file, CONTENT)
    await world.s3.send(new CreateBucketCommand({ Bucket: bucket }))
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  async function aws(operation: string, ...args: string[]): Promise<Answer> {
    const { awsEnv, endpoint } = world.server
    const all = [
      '--endpoint-url',
      endpoint,
      '--output',
      'json',
      's3api',
      operation,
      '--bucket',
      bucket,
      ...args,
    ]
    const { status, stdout, stderr } = await run('aws', all, { env: awsEnv })
    const text = stdout.toString().trim()
    return { status, error: stderr, json: text === '' ? {} : JSON.parse(text) }
  }

  for (const algorithm of ['CRC32', 'SHA1', 'SHA256'] as const) {
    it(`sends ${algorithm}, gets it back and verifies it`, async function () {
      this.timeout(60_000)
      const at = ['--key', algorithm]
      const put = await aws('put-object', ...at, '--body', file, '--checksum-algorithm', algorithm)
      expect(put.status, put.error).to.equal(0)
      const value = base64Digest(algorithm, CONTENT)
      expect(put.json[`Checksum${algorithm}`]).to.equal(value)
      const got = await aws('get-object', ...at, '--checksum-mode', 'ENABLED', join(world.folder, algorithm))
      expect(got.status, got.error).to.equal(0)
      expect(got.json[`Checksum${algorithm}`]).to.equal(value)
    })
  }

  it('reads attributes and tags', async function () {
    this.timeout(60_000)
    const at = ['--key', 'tagged']
    await aws('put-object', ...at, '--body', file, '--tagging', 'a=1&b=')
    const tags = await aws('get-object-tagging', ...at)
    expect(tags.json.TagSet, tags.error).to.deep.equal([
      { Key: 'a', Value: '1' },
      { Key: 'b', Value: '' },
    ])
    const shown = await aws('get-object-attributes', ...at, '--object-attributes', 'ETag', 'ObjectSize')
    expect(shown.json, shown.error).to.include({ ObjectSize: CONTENT.length })
    const head = await aws('head-object', ...at)
    expect(head.json.TagCount ?? 2).to.equal(2)
  })

  it('sees conditions fail by their codes', async function () {
    this.timeout(60_000)
    const at = ['--key', 'once', '--body', file, '--if-none-match', '*']
    const first = await aws('put-object', ...at)
    // Older versions do not know the option.
    if (first.error.includes('Unknown options')) this.skip()
    expect(first.status, first.error).to.equal(0)
    const again = await aws('put-object', ...at)
    expect(again.error).to.contain('PreconditionFailed')
  })
})
