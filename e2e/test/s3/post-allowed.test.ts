/** Forms that a policy allows, also those that another signer made. */
import { CreateBucketCommand, GetObjectCommand, HeadObjectCommand } from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { runOk } from '../../src/harness/run.js'
import { encodeForm, type FormFile, type FormOptions, postBody, postForm, signForm } from './support/form.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'

const TEN: FormFile = { content: '0123456789' }

describe('forms that a policy allows', () => {
  let world: World
  const Bucket = freshName()

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('post-allowed')
    await world.s3.send(new CreateBucketCommand({ Bucket }))
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  async function expectTaken(options: Partial<FormOptions>, file: FormFile = TEN): Promise<void> {
    const response = await postForm(world.server, { bucket: Bucket, key: 'key', ...options }, file)
    expect(response.status, response.text).to.equal(204)
  }

  it('by operators and names in any letter case', async () => {
    await expectTaken({ uncovered: ['key'], conditions: [['EQ', '$Key', 'key']] })
    await expectTaken({ uncovered: ['key'], conditions: [['Starts-With', '$KEY', 'k']] })
    await expectTaken({ fields: { ACL: 'private' }, uncovered: ['ACL'], conditions: [{ aCl: 'private' }] })
    const fields = { 'Content-Type': 'image/png' }
    await expectTaken({
      fields,
      uncovered: ['Content-Type'],
      conditions: [['starts-with', '$content-type', 'image/']],
    })
  })

  it('whichever fields have a file name: only the one that is called so is the file', async () => {
    const named = signForm(world.server, { bucket: Bucket, key: 'named' }).map(
      ([field, content]): FormFile => ({ field, content, name: field }),
    )
    const after: FormFile = { field: 'upload', content: 'ignored', name: 'after' }
    const response = await postBody(world.server, Bucket, encodeForm([], ...named, TEN, after))
    expect(response.status, response.text).to.equal(204)
    const { Body } = await world.s3.send(new GetObjectCommand({ Bucket, Key: 'named' }))
    expect(await Body?.transformToString()).to.equal(TEN.content)
  })

  it('by an empty prefix', async () => {
    const fields = { 'x-amz-meta-anything': 'goes' }
    await expectTaken({
      fields,
      uncovered: Object.keys(fields),
      conditions: [['starts-with', '$x-amz-meta-anything', '']],
    })
  })

  it('with sizes at the very ends of a range, and ranges beyond every number', async () => {
    for (const range of [
      [10, 10],
      [0, 10],
      [10, 11],
      [0, Number.MAX_SAFE_INTEGER],
      [0, 1e300],
      ['0', '10'],
    ]) {
      await expectTaken({ conditions: [['content-length-range', ...range]] })
    }
  })

  it('with a dollar escaped as S3 does', async () => {
    const document = (key: string): Partial<FormOptions> => ({ key, change: () => undefined })
    await expectTaken(document('$100'))
    const signed = signForm(world.server, { bucket: Bucket, key: '$100' })
    const json = Buffer.from(new Map(signed).get('policy') ?? '', 'base64').toString()
    await expectTaken({ key: '$100', document: json.replace('"$100"', '"\\$100"') })
    await expectTaken({
      key: '\\$foo.txt',
      uncovered: ['key'],
      conditions: [['starts-with', '$key', '\\$foo']],
    })
  })

  it('made by botocore', async function () {
    const python = await findBotocore()
    if (python === undefined) this.skip()
    const script = `
import json, sys
import botocore.session
from botocore.config import Config
session = botocore.session.get_session()
client = session.create_client('s3', endpoint_url=sys.argv[1], region_name='us-east-1', config=Config(signature_version='s3v4', s3={'addressing_style': 'path'}))
print(json.dumps(client.generate_presigned_post(sys.argv[2], sys.argv[3], Fields={'acl': 'private', 'x-amz-meta-a': 'b'}, Conditions=[{'acl': 'private'}, {'x-amz-meta-a': 'b'}, ['content-length-range', 1, 100]], ExpiresIn=60)))
`
    // biome-ignore lint/suspicious/noTemplateCurlyInString: this is how S3 writes the variable.
    const args = ['-c', script, world.server.endpoint, Bucket, 'boto/${filename}']
    const made = await runOk(python, args, { env: { ...world.server.awsEnv } })
    const { url, fields } = JSON.parse(made.stdout.toString()) as {
      url: string
      fields: Record<string, string>
    }
    const form = new FormData()
    for (const [name, value] of Object.entries(fields)) form.append(name, value)
    form.append('file', new Blob(['by botocore']), 'cat.txt')
    const response = await fetch(url, { method: 'POST', body: form })
    expect([response.status, await response.text()]).to.deep.equal([204, ''])
    const head = await world.s3.send(new HeadObjectCommand({ Bucket, Key: 'boto/cat.txt' }))
    expect([head.ContentLength, head.Metadata]).to.deep.equal([11, { a: 'b' }])
  })
})

/** A Python that has botocore, if there is one. */
async function findBotocore(): Promise<string | undefined> {
  for (const python of ['python3', '/usr/bin/python3']) {
    const found = await runOk(python, ['-c', 'import botocore.session']).catch(() => undefined)
    if (found !== undefined) return python
  }
  return undefined
}
