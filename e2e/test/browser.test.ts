/** The example page in a real browser, on another origin than the store: what CORS lets it do, and what not. */
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server as PageServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type CORSConfiguration,
  CreateBucketCommand,
  DeleteBucketCorsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutBucketCorsCommand,
} from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { type Browser, chromium, type Page } from 'playwright-core'
import { runOk } from '../src/harness/run.js'
import { hasTool } from '../src/harness/tools.js'
import { signForm } from './s3/support/form.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './s3/support/world.js'

const EXAMPLES = fileURLToPath(new URL('../../../docs/examples/', import.meta.url))
const BROWSER = '/usr/bin/chromium'
const BROWSER_TIMEOUT_MS = 60_000
const FILE_BYTES = 3_000_000

/** What the example of docs/examples prints. */
interface Signed {
  readonly put: string
  readonly post: { readonly url: string; readonly fields: Readonly<Record<string, string>> }
}

describe('a page in a browser', function () {
  this.timeout(BROWSER_TIMEOUT_MS)
  let world: World
  let browser: Browser
  let page: Page
  const servers: PageServer[] = []
  let origin: string
  let file: string
  let content: Buffer
  const Bucket = freshName()

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    if (!(await hasTool('chromium'))) this.skip()
    world = await startWorld('browser')
    await world.s3.send(new CreateBucketCommand({ Bucket }))
    browser = await chromium.launch({
      executablePath: BROWSER,
      args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'],
    })
    origin = await serveExamples()
    file = join(world.folder, 'picture.bin')
    content = randomBytes(FILE_BYTES)
    await writeFile(file, content)
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await browser?.close()
    for (const server of servers) server.close()
    await world?.stop()
  })

  beforeEach(async () => {
    page = await browser.newPage()
    await allow(origin)
  })

  afterEach(() => page.close())

  /** The page on an origin of its own. */
  async function serveExamples(): Promise<string> {
    const html = await readFile(join(EXAMPLES, 'upload.html'))
    const server = createServer((_request, response) => {
      response.setHeader('Content-Type', 'text/html; charset=utf-8').end(html)
    })
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  /** The rules of the documentation, for pages of that origin. */
  async function allow(pages: string): Promise<void> {
    const rules = (await readFile(join(EXAMPLES, 'cors.json'))).toString()
    const CORSConfiguration = JSON.parse(rules.replace('http://127.0.0.1:8000', pages)) as CORSConfiguration
    await world.s3.send(new PutBucketCorsCommand({ Bucket, CORSConfiguration }))
  }

  async function sign(key: string, ...more: readonly string[]): Promise<Signed> {
    const env = { ...world.server.awsEnv, AWS_ENDPOINT_URL: world.server.endpoint, AWS_REGION: 'us-east-1' }
    const { stdout } = await runOk(process.execPath, [join(EXAMPLES, 'sign.js'), Bucket, key, ...more], {
      env,
    })
    return JSON.parse(stdout.toString()) as Signed
  }

  /** Fills the page in, presses the button, and gives back what the page says in the end. */
  async function upload(button: 'put' | 'post', signed: Signed, from: string = origin): Promise<string> {
    await page.goto(from)
    await page.fill('#signed', JSON.stringify(signed))
    await page.setInputFiles('#file', file)
    await page.click(`#${button}`)
    const said = page.locator('#said', { hasText: /tored/ })
    await said.waitFor()
    return (await said.textContent()) ?? ''
  }

  async function read(Key: string): Promise<Buffer> {
    const { Body } = await world.s3.send(new GetObjectCommand({ Bucket, Key }))
    return Buffer.from((await Body?.transformToByteArray()) ?? [])
  }

  async function keys(): Promise<readonly (string | undefined)[]> {
    const { Contents = [] } = await world.s3.send(new ListObjectsV2Command({ Bucket }))
    return Contents.map(({ Key }) => Key)
  }

  for (const button of ['put', 'post'] as const) {
    it(`uploads by ${button.toUpperCase()} from another origin, with progress`, async () => {
      const key = `by ${button}/ä+b.bin`
      expect(await upload(button, await sign(key))).to.match(/^Stored, ETag "[0-9a-f]{32}"$/)
      expect(await page.getAttribute('#progress', 'value')).to.equal('1')
      expect((await read(key)).equals(content)).to.equal(true)
    })

    it(`stores nothing by ${button.toUpperCase()} for a page of an origin that is not allowed`, async () => {
      const other = await serveExamples()
      const said = await upload(button, await sign(`denied-${button}`), other)
      expect(said).to.equal('Not stored: The store did not answer this page.')
      // Whoever listens to the progress asks before a form, too.
      expect(await keys()).to.not.include(`denied-${button}`)
    })

    it(`is denied ${button.toUpperCase()} where the bucket has no rules`, async () => {
      await world.s3.send(new DeleteBucketCorsCommand({ Bucket }))
      const said = await upload(button, await sign(`no-rules-${button}`))
      expect(said).to.equal('Not stored: The store did not answer this page.')
    })
  }

  it('reads why a form was refused', async () => {
    const said = await upload('post', await sign('large', '1000'))
    expect(said).to.match(/^Not stored: 400 EntityTooLarge /)
    expect(await keys()).to.not.include('large')
  })

  it('sends a plain form without any script, and follows the redirect', async () => {
    const fields = signForm(world.server, {
      bucket: Bucket,
      // biome-ignore lint/suspicious/noTemplateCurlyInString: this is how S3 writes the variable.
      key: 'plain/${filename}',
      fields: { success_action_redirect: `${origin}/done?from=form` },
      uncovered: ['key'],
      conditions: [['starts-with', '$key', 'plain/']],
    })
    const inputs = fields.map(([name, value]) => `<input type="hidden" name="${name}" value="${value}">`)
    await page.goto(origin)
    await page.setContent(
      `<form method="post" enctype="multipart/form-data" action="${world.server.endpoint}/${Bucket}">` +
        `${inputs.join('')}<input type="file" name="file" id="file"><button>Send</button></form>`,
    )
    await page.setInputFiles('#file', file)
    await page.click('button')
    await page.waitForURL(/done/)
    const landed = new URL(page.url())
    expect(Object.fromEntries(landed.searchParams)).to.include({
      from: 'form',
      bucket: Bucket,
      key: 'plain/picture.bin',
    })
    expect((await read('plain/picture.bin')).equals(content)).to.equal(true)
  })
})
