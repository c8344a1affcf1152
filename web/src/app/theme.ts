/** Ant Design's tokens in our colours. The same colours are in app.css for our own parts. */

import { theme, type ThemeConfig } from "antd";

const mono = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace";
const sans =
  "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'PingFang SC', 'Noto Sans CJK SC', 'Microsoft YaHei', sans-serif";

const light = {
  colorPrimary: "#2f5bea",
  // Lighter than this the widgets' own are not read well under the pointer.
  colorPrimaryHover: "#1f4fd8",
  colorPrimaryActive: "#173fb0",
  colorLink: "#1f4fd8",
  colorText: "#1b1f27",
  colorTextSecondary: "#4a5160",
  colorTextDescription: "#5b6270",
  colorTextTertiary: "#5b6270",
  colorTextPlaceholder: "#6b7280",
  colorBgLayout: "#f5f6f8",
  colorSuccess: "#18794e",
  colorSuccessText: "#18794e",
  colorWarning: "#9a5b00",
  colorError: "#c4281c",
  colorErrorText: "#c4281c",
  colorInfo: "#2f5bea",
};

const dark = {
  colorPrimary: "#6f95ff",
  colorPrimaryHover: "#8fb0ff",
  colorPrimaryActive: "#a9c2ff",
  colorLink: "#8fb0ff",
  colorText: "#e6e8ec",
  colorTextSecondary: "#c0c4cc",
  colorTextDescription: "#a6abb5",
  colorTextTertiary: "#a6abb5",
  colorTextPlaceholder: "#8f96a3",
  colorBgBase: "#111318",
  colorBgLayout: "#0d0f13",
  colorBgContainer: "#16191f",
  colorBgElevated: "#1d2129",
  colorSuccess: "#4cc38a",
  colorSuccessText: "#4cc38a",
  colorWarning: "#f0b44c",
  colorError: "#ff7b72",
  colorErrorText: "#ff8f87",
  colorInfo: "#6f95ff",
};

/** The whole theme; `still` = without motion. */
export function themeOf(isDark: boolean, still: boolean): ThemeConfig {
  const colours = isDark ? dark : light;
  const onAccent = isDark ? "#0b1020" : "#ffffff";
  return {
    algorithm: isDark ? theme.darkAlgorithm : theme.defaultAlgorithm,
    cssVar: { key: "pierhead" },
    hashed: false,
    token: {
      ...colours,
      fontSize: 13,
      controlHeight: 30,
      borderRadius: 6,
      padding: 14,
      margin: 14,
      fontFamily: sans,
      fontFamilyCode: mono,
      motion: !still,
      // The palette would make it lighter than the text on it allows.
      colorTextLightSolid: onAccent,
    },
    components: {
      Button: { primaryShadow: "none", defaultShadow: "none", primaryColor: onAccent, dangerColor: onAccent },
      Menu: isDark
        ? { itemSelectedColor: "#c7d6ff", itemSelectedBg: "#23304f" }
        : { itemSelectedColor: "#1f4fd8", itemSelectedBg: "#e8eefe" },
      Table: { cellPaddingBlockSM: 6, headerBg: isDark ? "#1a1e25" : "#f5f6f8", headerColor: colours.colorTextSecondary },
      Tag: isDark ? { defaultColor: "#c0c4cc" } : { defaultColor: "#3d4350" },
      Tooltip: { colorTextLightSolid: "#ffffff" },
      Segmented: { itemColor: colours.colorTextSecondary },
      Tabs: {
        itemColor: colours.colorTextSecondary,
        itemSelectedColor: colours.colorLink,
        itemHoverColor: colours.colorLink,
        itemActiveColor: colours.colorLink,
      },
    },
  };
}
