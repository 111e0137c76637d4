import { expect } from 'chai'
import type { OperationForm, OperationName } from '../../src/operations/table.js'
import { OPERATION_FORMS } from '../../src/operations/table.js'
import type { Operation } from '../../src/operations/types.js'
import { EXAMPLE } from '../authentication/raw-request.js'
import { RawConnection, type RawResponse } from './raw-connection.js'
import { HOST, presignedTarget, signedHead, startTestGateway, type TestGateway } from './test-gateway.js'

/** Strangers reach it; it shows them nothing (see `list-buckets.ts`). */
const FOR_STRANGERS = 'ListBuckets'

/** A form proves in its body who sends it, a preflight does nothing, and the query API is not there. */
const UNSIGNED: ReadonlySet<string> = new Set(['PostObject', 'PreflightRequest', 'QueryApi'])

const all = Object.entries(OPERATION_FORMS).filter(([, form]) => !('aliasOf' in form)) as [
  OperationName,
  OperationForm,
][]
const forms = all.filter(([name]) => !UNSIGNED.has(name))

function pathOf(name: OperationName, form: OperationForm): string {
  if (name === 'WriteGetObjectResponse') return '/WriteGetObjectResponse'
  const path = { service: '/', bucket: '/bucket', object: '/bucket/key' }[form.on]
  const parameters = [form.sub, form.with].filter((part) => part !== undefined).map(valued)
  return parameters.length === 0 ? path : `${path}?${parameters.join('&')}`
}

function valued(parameter: string): string {
  if (parameter === 'partNumber') return 'partNumber=1'
  return parameter === 'list-type' ? 'list-type=2' : `${parameter}=`
}

function headersOf(form: OperationForm): Record<string, string> {
  const copy: Record<string, string> = form.header === undefined ? {} : { [form.header]: '/bucket/other' }
  const type: Record<string, string> =
    form === OPERATION_FORMS.PostObject ? { 'Content-Type': 'multipart/form-data; boundary=b' } : {}
  return { ...copy, ...type, 'Content-Length': '0' }
}

describe('every operation', () => {
  const reached: string[] = []
  let server: TestGateway
  let connection: RawConnection

  before(async () => {
    const operations = all.map(
      ([name]): Operation => ({
        name,
        async handle(context) {
          reached.push(context.operation)
          return { status: 200 }
        },
      }),
    )
    server = await startTestGateway({ operations })
    connection = await RawConnection.open(server.port)
  })

  after(async () => {
    connection.destroy()
    await server.gateway.close()
  })

  beforeEach(() => {
    reached.length = 0
  })

  async function ask(text: string, method: string): Promise<RawResponse> {
    connection.send(text)
    return connection.read(method)
  }

  const plain = (method: string, path: string, headers: Record<string, string> = {}): string => {
    const lines = Object.entries(headers).map(([name, value]) => `\r\n${name}: ${value}`)
    return `${method} ${path} HTTP/1.1\r\nHost: ${HOST}${lines.join('')}\r\n\r\n`
  }

  it('is reached by a signed request, and only by its own', async () => {
    for (const [name, form] of forms) {
      reached.length = 0
      const head = signedHead({ method: form.method, path: pathOf(name, form), headers: headersOf(form) })
      expect((await ask(head, form.method)).status, name).to.equal(200)
      expect(reached).to.deep.equal([name])
    }
  })

  it('is not reached by the signature of a header where that proves nothing', async () => {
    for (const [name, form] of all.filter(([name]) => UNSIGNED.has(name))) {
      const head = signedHead({ method: form.method, path: pathOf(name, form), headers: headersOf(form) })
      expect((await ask(head, form.method)).status, name).to.be.oneOf([400, 501])
      expect(reached).to.deep.equal([])
    }
  })

  const ATTACKS: Record<string, (name: OperationName, form: OperationForm) => string> = {
    'without credentials': (name, form) => plain(form.method, pathOf(name, form), headersOf(form)),
    'with an empty Authorization': (name, form) =>
      plain(form.method, pathOf(name, form), { ...headersOf(form), Authorization: '' }),
    'with a wrong signature': (name, form) =>
      signedHead({ method: form.method, path: pathOf(name, form), headers: headersOf(form) }).replace(
        /Signature=[0-9a-f]{4}/,
        'Signature=0000',
      ),
    'with an unknown key': (name, form) =>
      signedHead({ method: form.method, path: pathOf(name, form), headers: headersOf(form) }).replace(
        EXAMPLE.accessKey,
        'AKIAOTHER',
      ),
    'with an unsigned x-amz header': (name, form) =>
      signedHead({ method: form.method, path: pathOf(name, form), headers: headersOf(form) }, [
        'x-amz-meta-unsigned: 1',
      ]),
    'with the signature of another path': (name, form) =>
      signedHead({ method: form.method, path: '/other/path', headers: headersOf(form) }).replace(
        '/other/path',
        pathOf(name, form),
      ),
    'presigned with a copy source that is not signed': (name, form) =>
      plain(
        form.method,
        presignedTarget({ method: form.method, path: pathOf(name, form) }, { dated: true }),
        {
          'Content-Length': '0',
          'x-amz-copy-source': '/secret/key',
        },
      ),
    'presigned and expired': (name, form) =>
      plain(
        form.method,
        presignedTarget({ method: form.method, path: pathOf(name, form) }, { dated: true }).replace(
          /X-Amz-Date=\d{8}/,
          'X-Amz-Date=20260202',
        ),
        { 'Content-Length': '0' },
      ),
    'signed by header and by query': (name, form) => {
      const target = presignedTarget({ method: form.method, path: pathOf(name, form) }, { dated: true })
      return plain(form.method, target, { 'Content-Length': '0', Authorization: 'AWS4-HMAC-SHA256 x' })
    },
  }

  for (const [attack, build] of Object.entries(ATTACKS)) {
    it(`is not reached ${attack}`, async () => {
      for (const [name, form] of all) {
        if (name === FOR_STRANGERS && attack === 'without credentials') continue
        const response = await ask(build(name, form), form.method)
        expect(response.status, name).to.be.oneOf(name === 'QueryApi' ? [400, 403, 501] : [400, 403])
      }
      expect(reached).to.deep.equal([])
    })
  }
})
