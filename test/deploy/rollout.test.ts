/** Kubernetes manifests and systemd units: they form, hold to their rules and mount what packetd loads. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { has } from '../bench/processes.js';
import { ROOT } from '../e2e/support.js';
import { read, yaml } from './support.js';

interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly securityContext: {
    readonly allowPrivilegeEscalation: boolean;
    readonly readOnlyRootFilesystem: boolean;
    readonly capabilities: { readonly drop: readonly string[]; readonly add?: readonly string[] };
  };
  readonly resources: { readonly limits: { readonly memory: string } };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}
interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly data?: Readonly<Record<string, string>>;
  // biome-ignore lint/suspicious/noExplicitAny: as many shapes as kinds
  readonly spec?: any;
}

function build(overlay: string): Manifest[] {
  const run = spawnSync('kubectl', ['kustomize', join(ROOT, 'deploy/kubernetes', overlay)], {
    encoding: 'utf8',
  });
  assert.equal(run.status, 0, run.stderr);
  return yaml.parseAllDocuments(run.stdout).map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJSON() as Manifest;
  });
}

/** What `packetd agent` or `collector` says about a configuration when there is no NATS: null where it is accepted. */
function refusal(command: string, text: string, variables: NodeJS.ProcessEnv = {}): string | null {
  const directory = mkdtempSync(join(tmpdir(), 'packetd-config-'));
  try {
    const path = join(directory, 'config.yaml');
    writeFileSync(path, text);
    const script = `import { loadConfig } from ${JSON.stringify(join(ROOT, 'cli/dist/config/load.js'))}; loadConfig(${JSON.stringify(path)});`;
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      env: { ...process.env, ...variables },
    });
    return run.status === 0 ? null : `${command}: ${run.stderr}`;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe('the configuration files that are mounted', () => {
  for (const [command, path] of [
    ['agent', 'deploy/config/sensor.yaml'],
    ['collector', 'deploy/config/collector.yaml'],
    ['agent', 'deploy/kubernetes/base/config/sensor.yaml'],
    ['collector', 'deploy/kubernetes/base/config/collector.yaml'],
  ]) {
    it(`${path} loads`, () => assert.equal(refusal(command, read(path)), null));
  }

  it('are refused where a key is unknown', () => {
    assert.match(refusal('agent', 'nats:\n  server: [x]\n') ?? '', /servers/);
  });

  it('are the same for a collector in compose and on Kubernetes, addresses apart', () => {
    const of = (path: string) =>
      read(path)
        .replaceAll(/^#.*\n/gm, '')
        .replaceAll(/\.(nats|monitoring|elastic)\.svc/g, '');
    assert.equal(of('deploy/kubernetes/base/config/collector.yaml'), of('deploy/config/collector.yaml'));
  });
});

describe('deploy/kubernetes', { skip: has('kubectl') ? false : 'kubectl is not installed' }, () => {
  for (const overlay of ['keda', 'hpa']) {
    describe(overlay, () => {
      const manifests = has('kubectl') ? build(overlay) : [];
      const one = (kind: string, name: string) => {
        const found = manifests.find((m) => m.kind === kind && m.metadata.name === name);
        assert.ok(found, `${kind} ${name}`);
        return found;
      };

      it('is all in the namespace, labelled', () => {
        for (const { kind, metadata } of manifests) {
          if (kind !== 'Namespace') assert.equal(metadata.namespace, 'packetd', `${kind} ${metadata.name}`);
          assert.equal(metadata.labels?.['app.kubernetes.io/name'], 'packetd', `${kind} ${metadata.name}`);
        }
      });

      for (const [kind, name] of [
        ['DaemonSet', 'packetd-sensor'],
        ['Deployment', 'packetd-collector'],
      ]) {
        it(`runs ${name} with no more rights than it needs`, () => {
          const { spec } = one(kind, name);
          const pod = spec.template.spec;
          const [container] = pod.containers as [Container];
          const sensor = name === 'packetd-sensor';
          assert.match(container.image, /:\d+\.\d+\.\d+$/);
          assert.equal(pod.automountServiceAccountToken, false);
          assert.equal(pod.securityContext.runAsNonRoot, true);
          assert.equal(pod.securityContext.seccompProfile.type, 'RuntimeDefault');
          assert.equal(pod.hostNetwork ?? false, sensor);
          assert.equal(container.securityContext.readOnlyRootFilesystem, true);
          assert.deepEqual(container.securityContext.capabilities.drop, ['ALL']);
          assert.deepEqual(container.securityContext.capabilities.add ?? [], sensor ? ['NET_RAW'] : []);
          assert.equal(container.securityContext.allowPrivilegeEscalation, sensor);
          assert.ok(container.resources.limits.memory);
          one('ServiceAccount', pod.serviceAccountName);
          for (const [label, value] of Object.entries(spec.selector.matchLabels as Record<string, string>)) {
            assert.equal(spec.template.metadata.labels[label], value);
          }
          const volumes = new Map(
            (pod.volumes as { name: string; configMap?: { name: string } }[]).map((v) => [v.name, v]),
          );
          for (const mount of container.volumeMounts) assert.ok(volumes.has(mount.name), mount.name);
          const file = container.args.at(-1)?.split('/').at(-1) ?? '';
          const config = one('ConfigMap', volumes.get('config')?.configMap?.name ?? '');
          const secrets = Object.fromEntries(
            container.env
              .filter(({ value }) => value !== undefined)
              .map(({ name: variable }) => [variable, '/dev/null']),
          );
          assert.equal(refusal(container.args[0], config.data?.[file] ?? '', secrets), null);
          for (const { name: variable, value } of container.env) {
            if (!variable.endsWith('_FILE')) continue;
            assert.ok(
              container.volumeMounts.some(({ mountPath }) => value?.startsWith(`${mountPath}/`)),
              variable,
            );
          }
        });
      }

      it('lets the collector be reached and reach its backends, nothing else', () => {
        const { spec } = one('NetworkPolicy', 'packetd-collector');
        assert.deepEqual(spec.policyTypes, ['Ingress', 'Egress']);
        const ports = spec.egress.flatMap((rule: { ports: { port: number }[] }) =>
          rule.ports.map(({ port }) => port),
        );
        const config =
          manifests.find(({ data }) => data?.['collector.yaml'] !== undefined)?.data?.['collector.yaml'] ??
          '';
        for (const [, port] of config.matchAll(/:\/\/[\w.-]+:(\d+)/g))
          assert.ok(ports.includes(Number(port)), port);
        for (const rule of [...spec.egress, ...spec.ingress]) assert.ok((rule.to ?? rule.from)?.length > 0);
      });

      it('scales the collector', () => {
        const scaler =
          overlay === 'keda'
            ? one('ScaledObject', 'packetd-collector')
            : one('HorizontalPodAutoscaler', 'packetd-collector');
        const target = one(scaler.spec.scaleTargetRef.kind, scaler.spec.scaleTargetRef.name);
        assert.equal(target.spec.replicas, undefined);
        if (overlay === 'hpa') {
          assert.equal(scaler.spec.minReplicas, 1);
          return;
        }
        assert.equal(scaler.spec.minReplicaCount, 0);
        const triggers = scaler.spec.triggers as { type: string; metadata: Record<string, string> }[];
        assert.deepEqual(
          triggers.map(({ metadata }) => metadata.consumer),
          ['packetd-metrics', 'packetd-traces', 'packetd-documents'],
        );
        for (const { type, metadata } of triggers) {
          assert.equal(type, 'nats-jetstream');
          assert.equal(metadata.stream, 'PACKETD');
          assert.ok(
            Number(metadata.lagThreshold) > 0 && metadata.natsServerMonitoringEndpoint.endsWith(':8222'),
          );
        }
      });
    });
  }
});

describe('deploy/systemd', () => {
  const unit = read('deploy/systemd/packetd-sensor.service');

  it('verifies, and exposes little', {
    skip: has('systemd-analyze') ? false : 'systemd-analyze is not installed',
  }, () => {
    const directory = mkdtempSync(join(tmpdir(), 'packetd-unit-'));
    try {
      const path = join(directory, 'packetd-sensor.service');
      // verify wants the program to be there.
      writeFileSync(path, unit.replace('/usr/bin/node', process.execPath));
      const verify = spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' });
      const complaints = verify.stderr.split('\n').filter((line) => line.includes('packetd-sensor.service'));
      assert.deepEqual(complaints, []);
      const security = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=25', path], {
        encoding: 'utf8',
      });
      if (!/unrecognized option/.test(security.stderr))
        assert.equal(security.status, 0, security.stdout + security.stderr);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('has one capability and a user of its own', () => {
    const capabilities = [...unit.matchAll(/^(?:AmbientCapabilities|CapabilityBoundingSet)=(.*)$/gm)].map(
      ([, value]) => value,
    );
    assert.deepEqual(capabilities, ['CAP_NET_RAW', 'CAP_NET_RAW']);
    assert.match(unit, /^User=packetd$/m);
    assert.match(read('deploy/systemd/packetd.sysusers'), /^u packetd /m);
  });

  it('has a sysusers file that is understood', {
    skip: has('systemd-sysusers') ? false : 'systemd-sysusers is not installed',
  }, (t) => {
    const run = spawnSync('systemd-sysusers', ['--dry-run', join(ROOT, 'deploy/systemd/packetd.sysusers')], {
      encoding: 'utf8',
    });
    if (/unrecognized option/.test(run.stderr)) t.skip('this systemd-sysusers has no --dry-run');
    else assert.equal(run.status, 0, run.stderr);
  });
});
