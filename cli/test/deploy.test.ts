import { readdirSync, readFileSync } from 'node:fs'
import { expect } from 'chai'
import { parseAllDocuments } from 'yaml'
import { startCairn } from '../src/index.js'
import { SETTINGS } from '../src/settings.js'

const ROOT = new URL('../../../', import.meta.url)

function read(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8')
}

/** Every file under deploy/, and compose.yaml and Dockerfile beside it. */
function deployFiles(): string[] {
  const below = readdirSync(new URL('deploy/', ROOT), { recursive: true, withFileTypes: true })
  const files = below.filter((entry) => entry.isFile()).map((entry) => `${entry.parentPath}/${entry.name}`)
  return [...files.map((file) => file.slice(ROOT.pathname.length)), 'compose.yaml', 'Dockerfile']
}

interface Probe {
  readonly httpGet: { readonly path: string }
}

/** What the test looks at in a StatefulSet or Deployment. */
interface Workload {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly securityContext: { readonly runAsNonRoot: boolean }
        readonly automountServiceAccountToken?: boolean
        readonly enableServiceLinks?: boolean
        readonly containers: readonly {
          readonly securityContext: object
          readonly livenessProbe: Probe
          readonly readinessProbe: Probe
        }[]
      }
    }
  }
}

describe('deployment files', () => {
  it('name only settings that there are', () => {
    const known = new Set<string>()
    for (const { variable, secret } of Object.values(SETTINGS)) {
      known.add(variable)
      if (secret) known.add(`${variable}_FILE`)
    }
    // What compose.yaml itself reads.
    for (const own of ['CAIRN_IMAGE', 'CAIRN_PORT_1', 'CAIRN_PORT_2']) known.add(own)
    const unknown = deployFiles().flatMap((file) =>
      (read(file).match(/CAIRN_[A-Z0-9_]+/g) ?? [])
        .filter((name) => !known.has(name))
        .map((name) => `${file}: ${name}`),
    )
    expect(unknown).to.deep.equal([])
  })

  it('are proper YAML', () => {
    for (const file of deployFiles().filter((name) => /\.ya?ml$/.test(name))) {
      for (const document of parseAllDocuments(read(file), { merge: true })) {
        expect(document.errors, file).to.deep.equal([])
      }
    }
  })

  it('give no pod a way up, and etcd no probe that a full quota fails', () => {
    const workloads = ['cairn', 'etcd']
      .flatMap((name) => parseAllDocuments(read(`deploy/kubernetes/${name}.yaml`)))
      .map((document) => document.toJS() as Workload)
      .filter(({ kind }) => kind === 'StatefulSet' || kind === 'Deployment')
    expect(workloads).to.have.length(4)
    for (const { metadata, spec } of workloads) {
      const pod = spec.template.spec
      const [container] = pod.containers
      expect(pod.securityContext.runAsNonRoot, metadata.name).to.equal(true)
      expect(pod.automountServiceAccountToken, metadata.name).to.equal(false)
      expect(pod.enableServiceLinks, metadata.name).to.equal(false)
      expect(container?.securityContext, metadata.name).to.deep.equal({
        readOnlyRootFilesystem: true,
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
      })
      expect(container?.livenessProbe.httpGet.path, metadata.name).to.match(/live/)
      expect(container?.readinessProbe.httpGet.path, metadata.name).to.match(/ready/)
    }
  })

  it('draw only metrics that Cairn, etcd or Node have', async () => {
    const drawn = new Set(read('deploy/monitoring/grafana/cairn.json').match(/\b(?:cairn|s3)_[a-z0-9_]+/g))
    const server = await startCairn({ port: 0 })
    try {
      const text = await (await fetch(`${server.endpoint}/-/metrics`)).text()
      const shown = new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name))
      const missing = [...drawn].filter((name) => !shown.has(name.replace(/_bucket$/, '')))
      expect(missing).to.deep.equal([])
      expect(drawn.size).to.be.greaterThan(20)
    } finally {
      await server.close()
    }
  })
})
