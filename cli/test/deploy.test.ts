import { readdirSync, readFileSync } from 'node:fs'
import { expect } from 'chai'
import { parse, parseAllDocuments } from 'yaml'
import { SETTINGS } from '../src/settings.js'

const ROOT = new URL('../../../', import.meta.url)

function read(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8')
}

/** Files below a folder of the repository, by their paths from its root. */
function filesBelow(folder: string): string[] {
  const below = readdirSync(new URL(folder, ROOT), { recursive: true, withFileTypes: true })
  const files = below.filter((entry) => entry.isFile()).map((entry) => `${entry.parentPath}/${entry.name}`)
  return files.map((file) => file.slice(ROOT.pathname.length))
}

/** Every file under deploy/, and compose.yaml and Dockerfile beside it. */
function deployFiles(): string[] {
  return [...filesBelow('deploy/'), 'compose.yaml', 'Dockerfile']
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

interface ComposeService {
  readonly image: string
  readonly user?: string
  readonly read_only: boolean
  readonly cap_drop: readonly string[]
  readonly security_opt: readonly string[]
  readonly volumes: readonly string[]
}

function composeServices(): Readonly<Record<string, ComposeService>> {
  const file = parse(read('compose.yaml'), { merge: true, maxAliasCount: -1 })
  return (file as { services: Record<string, ComposeService> }).services
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

  it('draw and watch only metrics that some role of Cairn exports', () => {
    const sources = filesBelow('cli/src/').map(read).join('\n')
    const exported = new Set([...sources.matchAll(/'((?:cairn|s3)_[a-z0-9_]+)'/g)].map(([, name]) => name))
    for (const [file, least] of [
      ['grafana/cairn.json', 30],
      ['alerts.yml', 15],
    ] as const) {
      const named = new Set(read(`deploy/monitoring/${file}`).match(/\b(?:cairn|s3)_[a-z0-9_]+/g))
      const missing = [...named].filter((name) => !exported.has(name.replace(/_bucket$/, '')))
      expect(missing, file).to.deep.equal([])
      expect(named.size, file).to.be.at.least(least)
    }
  })

  it('start every container without a writable root or a capability, and none but the one-shot as root', () => {
    const facts = Object.entries(composeServices()).map(([name, service]) => {
      const { read_only, cap_drop, security_opt, user, image } = service
      expect([read_only, cap_drop, security_opt], name).to.deep.equal([
        true,
        ['ALL'],
        ['no-new-privileges:true'],
      ])
      // The images of Cairn and Grafana name a user of their own.
      return user ?? image.replace(/^.*?:-|:.*$/g, '')
    })
    expect(new Set(facts)).to.deep.equal(
      new Set(['0', '10002:10002', 'cairn', '65534:10001', 'grafana/grafana']),
    )
    expect(facts.filter((fact) => fact === '0')).to.have.length(1)
  })

  it('let systemd start every role again, whatever its status and however often', () => {
    const units = filesBelow('deploy/systemd/').filter((file) => file.endsWith('.service'))
    expect(units).to.have.length(4)
    for (const unit of units) {
      const lines = read(unit).split('\n')
      expect(lines, unit).to.include.members(['Restart=always', 'StartLimitIntervalSec=0'])
      expect(
        lines.filter((line) => line.startsWith('RestartPrevent')),
        unit,
      ).to.deep.equal([])
    }
  })

  it('give Prometheus every file of rules that it is told to load', () => {
    const { rule_files: rules } = parse(read('deploy/monitoring/prometheus.yml')) as { rule_files: string[] }
    expect(rules).to.deep.equal(['alerts.yml'])
    expect(composeServices().prometheus?.volumes).to.include.members(
      rules.map((file) => `./deploy/monitoring/${file}:/etc/prometheus/${file}:ro`),
    )
  })
})
